# %% [markdown]
"""Reading curves, and finding a learning rate.

The learning rate is the first setting to get right. Too small: the loss falls slowly. Too large: it
jumps, or becomes infinite. A sweep over a hundred steps, with a rate that grows from step to step,
suggests one (Smith 2017).

A tenth of the training images is held out. Curves and the best epoch are judged by these validation
images; the test images are only for the number at the very end.

Change: the largest of the three rates from 1.0 to 0.3; then momentum=0.9 to momentum=0.0.
Then: at 0.3 the network only guesses. Without momentum, 0.0005 learns almost nothing, because
momentum of 0.9 makes the steps about ten times as long.
"""

# %%
from minicnn import data, models, training
from minicnn.errors import TrainingError
from minicnn.study import plots

train, test, validation = data.load_splits("digits", validation=0.1)

sweep = training.find_lr(models.create("lenet5", seed=0), train, start=1e-4, end=1.0)
print(sweep)
plots.learning_rates(sweep, "07_sweep.png")

# %% [markdown]
# Three trainings that differ only in the rate.

# %%
histories = {}
for lr in (0.0005, 0.02, 1.0):
    model = models.create("lenet5", seed=0)
    try:
        histories[lr] = training.fit(
            model,
            train,
            validation=validation,
            epochs=6,
            lr=lr,
            momentum=0.9,
            schedule="constant",
            progress=False,
        )
    except TrainingError as error:  # the message names the step and the cause
        print(f"lr {lr}: {error}")
        continue
    last = histories[lr].rows[-1]
    print(
        f"lr {lr}: training loss {last['train_loss']:.3f}, "
        f"validation accuracy {last['validation_accuracy']:.2%}"
    )

# %% [markdown]
# How to read the curves. If both losses still fall, train longer. If the training loss falls and
# the validation loss rises, the network overfits: it memorizes its images. More data or
# augmentation helps. Here the validation loss is the lower one, for two reasons: the recipe shifts
# the training images at random, which makes them harder, and the training loss is a mean over the
# whole epoch.

# %%
plots.curves(histories[0.02], "07_curves.png", "lr 0.02")
