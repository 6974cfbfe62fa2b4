"""The command line, run in a process of its own as by a user."""

import json
import os
import signal
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from typer.main import get_command
from typer.testing import CliRunner

from minicnn import data, load, save
from minicnn.cli import app


@pytest.fixture
def minicnn(tmp_path):
    """Run `python -m minicnn ...` in an empty folder, with an empty cache and no internet."""
    environment = {
        **os.environ,
        "MINICNN_DATA": str(tmp_path / "cache"),
        "COLUMNS": "200",
        "PYTHONWARNINGS": "error",
    }
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}

    def run(*arguments, code=0, **more):
        command = [sys.executable, "-m", "minicnn", *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment | more,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    run.folder, run.environment = tmp_path, environment
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that was trained on the digits for four epochs."""
    out = tmp_path_factory.mktemp("trained") / "run"
    command = ["-m", "minicnn", "train", "lenet5", "--data", "digits", "--epochs", "4", "--out"]
    subprocess.run([sys.executable, *command, out], check=True, capture_output=True)
    return out


def test_train_without_network_falls_back_to_the_digits(minicnn):
    said = minicnn("train", "lenet5", "--epochs", 2)
    assert "could not download MNIST; training on the bundled digits instead: " in said
    assert "not reachable" in said
    assert "epoch 2/2: loss" in said
    assert "confusion matrix" in said
    assert "lenet5: " in said.splitlines()[-1]
    assert "test accuracy on digits (359 test images)" in said.splitlines()[-1]
    folder = minicnn.folder / "runs" / "lenet5-digits"
    assert sorted(p.name for p in folder.iterdir()) == [
        "best.safetensors",
        "config.toml",
        "confusion.png",
        "curves.png",
        "history.csv",
        "last.safetensors",
    ]
    minicnn("train", "lenet5", "--epochs", 1)
    assert (minicnn.folder / "runs" / "lenet5-digits-2").is_dir(), (
        "a second run does not overwrite the first"
    )


def test_a_data_set_that_was_asked_for_is_not_replaced(minicnn):
    assert "could not be downloaded" in minicnn("train", "lenet5", "--data", "mnist", code=2)
    assert "'nowhere' is neither a data set" in minicnn(
        "train", "lenet5", "--data", "nowhere", code=2
    )


def test_evaluate_and_predict(minicnn, trained):
    said = minicnn("evaluate", trained / "best.safetensors", "--data", "digits")
    assert "top-1" in said
    assert "top-5" in said
    _, test = data.digits()
    names = []
    for i in (0, 1, 2):
        path = minicnn.folder / f"digit{i}.png"
        Image.fromarray(255 - test.images[i, ..., 0] if i else test.images[i, ..., 0]).save(path)
        names.append(path)
    said = minicnn("predict", trained / "best.safetensors", *names, "--top", 2)
    lines = [line for line in said.splitlines() if "digit" in line]
    assert len(lines) == 3
    for i, line in enumerate(lines):
        assert f"{test.labels[i]} " in line.partition("%")[0].split("│")[2]
        assert ("inverted" in line) == (i > 0)
    (minicnn.folder / "broken.png").write_bytes(names[0].read_bytes()[:100])
    assert "broken.png: it cannot be read as an image" in minicnn(
        "predict", trained / "best.safetensors", names[0], "broken.png", code=2
    )


def test_names_are_printed_as_they_are_and_never_cut(minicnn, trained):
    """Class names and paths with brackets, and paths that are wider than a terminal."""
    network = load(trained / "best.safetensors")
    network.classes = ("[bold]", "[/red]", ":smile:", *network.classes[3:])
    save(network, minicnn.folder / "own.safetensors")
    long = minicnn.folder / ("[dim]" + "n" * 150 + ".png")
    _, test = data.digits()
    Image.fromarray(test.images[0, ..., 0]).save(long)
    said = minicnn("predict", "own.safetensors", long, "--top", 10, COLUMNS="40")
    row = next(line for line in said.splitlines() if str(long) in line)
    for name in network.classes:
        assert f"{name} " in row
    for label in (0, 1):
        folder = minicnn.folder / "own" / ("train", "val")[label] / "[bold]"
        folder.mkdir(parents=True)
        Image.fromarray(test.images[label, ..., 0]).save(folder / "1.png")
    assert "[bold]" in minicnn("data", "own")


def test_gpu_is_another_word_for_cuda(minicnn):
    for command in (["train", "lenet5", "--data", "digits"], ["ladder", "--repeats", "1"]):
        messages = {minicnn(*command, "--device", d, code=2) for d in ("gpu", "cuda")}
        assert len(messages) == 1
        assert "CuPy" in messages.pop()


def test_schedules_are_the_same_in_help_and_error(minicnn):
    error = minicnn("train", "lenet5", "--schedule", "steps", code=2)
    names = error.partition("expected one of ")[2].partition("  (")[0].strip()
    assert "step, multistep" in names
    shown = " ".join(minicnn("train", "--help").replace("│", " ").split())
    assert all(name in shown for name in names.split(", "))
    missing = minicnn("train", "lenet5", "--schedule", "step", code=2)
    assert "schedule='step': missing a required argument: 'size'; expected step(size: " in missing


EVERY_OPTION = (
    *("--epochs", 2, "--lr", 0.02, "--schedule", "step(1, 0.5)", "--warm-up", 0.5),
    *("--momentum", 0.8, "--weight-decay", 0.001, "--clip-norm", 5, "--accumulate", 2),
    *("--label-smoothing", 0.1, "--class-weights", "balanced", "--metric", "loss"),
    *("--early-stop", 5, "--min-delta", 0.001, "--restore-best", "--val", 0.1, "--limit", 150),
    *("--ema", 0.9),
    *("--seed", 3, "-o", "num_classes=10"),
)


def test_a_run_is_repeated_from_its_configuration(minicnn):
    """To the bit, with every option; those on the command line come before the file's."""
    minicnn("train", "lenet5", "--data", "digits", *EVERY_OPTION, "--out", "first")
    minicnn("train", "--config", "first/config.toml", "--out", "second")
    for name in ("last.safetensors", "best.safetensors"):
        first, second = (load_file(minicnn.folder / run / name) for run in ("first", "second"))
        assert set(first) == set(second)
        for key, value in first.items():
            np.testing.assert_array_equal(second[key], value)
    tables = [
        tomllib.loads((minicnn.folder / name / "config.toml").read_text(encoding="utf-8"))
        for name in ("first", "second")
    ]
    assert tables[0]["settings"] == tables[1]["settings"]
    assert tables[0]["train"] == tables[1]["train"]
    assert tables[0]["train"]["clip_norm"] == 5.0
    assert tables[0]["settings"]["accumulate"] == 2
    said = minicnn(
        *("train", "--config", "first/config.toml", "--epochs", 1, "--lr", 0.5, "--out", "third")
    )
    assert "epoch 1/1" in said
    third = tomllib.loads((minicnn.folder / "third/config.toml").read_text(encoding="utf-8"))
    assert third["train"] == tables[0]["train"] | {"epochs": 1, "lr": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[train]\nmodel = "lenet5"\nepochz = 3',
            "epochz = 3: expected one of model, data, epochs",
        ),
        ('[train]\nmodel = "lenet5"\nepochs = "3"', "epochs = '3': expected a number"),
        ('[train]\nmodel = "lenet5"\nseed = true', "seed = True: expected a whole number"),
        ('[train]\nmodel = "lenet5"\nseed = 1.5', "seed = 1.5: expected a whole number"),
        (
            '[train]\nmodel = "lenet5"\nbatch-size = 0',
            "batch-size = 0: expected a whole number (at least 1)",
        ),
        ('[train]\nmodel = "lenet5"\nlr = -1', "lr = -1: expected a number (at least 0)"),
        ('[train]\nmodel = "lenet5"\noption = [3]', "option = [3]: expected a list of texts"),
        ('[train]\nmodel = "lenet5"\nout = 3', "out = 3: expected text"),
        ('[train]\nmodel = "lenet5"\nschedule = "foo"', "schedule='foo': expected one of"),
        ("[train]\nepochs = 3", "Missing argument"),
        ("epochs = 3", "bad.toml: it has no table [train] with options of minicnn train"),
        ("epochs = ", "bad.toml: it is not a TOML file: Invalid value"),
    ],
)
def test_configurations_that_are_none(minicnn, text, message):
    (minicnn.folder / "bad.toml").write_text(text)
    said = minicnn("train", "--config", "bad.toml", code=2)
    assert message in " ".join(said.replace("│", " ").split())


def test_lr_find(minicnn):
    said = minicnn("lr-find", "lenet5", "--data", "digits", "--steps", 60, "--limit", 400)
    assert "the loss falls fastest at a learning rate of 0.0" in said
    again = "to train with it: minicnn train lenet5 --data digits --limit 400 --lr 0.0"
    assert again in said
    assert (minicnn.folder / "lr.png").stat().st_size > 10_000


def test_summary(minicnn, trained):
    said = minicnn("summary", "lenet5")
    for text in ("28x28x6", "122,304", "61,706", "416,520", "9,118"):
        assert text in said
    table = json.loads(minicnn("summary", "lenet5", "--format", "json", "--batch", 4))
    assert table["memory"] == 4 * 9_118
    assert (
        "| C1 | Conv2d | 5x5 | 1 | 0 | relu | 28x28x6 | 4,704 | 156 | 117,600 | 122,304 |"
        in minicnn("summary", "lenet5", "--format", "markdown")
    )
    assert "| output |" in minicnn("summary", trained / "last.safetensors", "--format", "markdown")
    assert "32x32x3" in minicnn("summary", "lenet5", "-o", "in_channels=3")
    assert "C5: Conv2d(16, 120, 5" in minicnn("summary", "lenet5", "--input", "28", code=2)
    assert "--input 0x3: expected H, HxW or HxWxC" in minicnn(
        "summary", "lenet5", "--input", "0x3", code=2
    )


def test_help_of_every_command():
    runner = CliRunner()
    overview = runner.invoke(app, ["--help"]).stdout
    for name in get_command(app).commands:
        assert name in overview
        done = runner.invoke(app, [name, "--help"])
        assert done.exit_code == 0
        assert f"Usage: root {name}" in done.stdout


def test_models_backends_and_version(minicnn):
    said = minicnn("models")
    for text in ("lenet5_sigmoid", "62,006", "lenet5_1998", "60,000", "lenet_caffe", "431,080"):
        assert text in said
    said = minicnn("backends")
    assert "reference" in said
    assert "conv2d_grad_weight" in said
    assert "not available: " in said
    assert "--precision bf16: " in said
    assert minicnn("--version").startswith("minicnn ")


def test_data_command(minicnn):
    said = minicnn("data", "digits")
    assert "1,438" in said
    assert (minicnn.folder / "digits.png").stat().st_size > 10_000


def test_data_command_draws_what_training_will_see(minicnn):
    said = minicnn("data", "digits", "--augment", "lenet5:digits", "--out", "seen.png")
    assert "lenet5:digits: RandomShift(pixels=2), normalize" in said
    with Image.open(minicnn.folder / "seen.png") as picture:
        assert picture.height > picture.width > 800  # 8 images, 8 columns
    said = minicnn("data", "digits", "--augment", "airbench", "--count", 2, "--out", "two.png")
    assert "RandomShift(pixels=2, padding_mode='reflect')" in said
    with Image.open(minicnn.folder / "two.png") as picture:
        assert picture.width > 2 * picture.height


def test_summary_and_train_say_what_happens_to_images(minicnn):
    assert "images: RandomCropFlip(size=32, padding=4), normalize" in minicnn(
        "summary", "resnet20_cifar"
    )
    said = minicnn("train", "lenet5", "--data", "digits", "--epochs", 1, "--limit", 64)
    assert "recipe: minicnn's own" in said
    assert "images: RandomShift(pixels=2), normalize" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "lenet"], "there is no model 'lenet'; did you mean lenet5"),
        (
            ["train", "lenet5", "--data", "digits", "--recipe", "papre"],
            "lenet5 has no recipe 'papre'; it has default, digits",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--optimizer", "sdg"],
            "optimizer='sdg': expected one of sgd",
        ),
        (
            ["train", "lenet5", "--data", "digits", "-o", "clases=3"],
            "lenet5 has no option 'clases'; it has num_classes, in_channels",
        ),
        (
            ["train", "lenet5", "--data", "digits", "-o", "num_classes"],
            "--option num_classes: expected key=value",
        ),
        (["train", "lenet5", "--data", "digits", "--backend", "tpu"], "unknown backend 'tpu'"),
        (
            ["train", "lenet5", "--data", "digits", "--backend", "numba_cuda"],
            "the backend 'numba_cuda' is not available",
        ),
        (["train", "lenet5", "--data", "digits", "--epochs", "0"], "Invalid value for '--epochs'"),
        (
            ["train", "lenet5", "--data", "digits", "--clip-norm", "1", "--clip-value", "1"],
            "--clip-norm 1.0 and --clip-value 1.0: expected one of them",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--ema", "0.9", "--lookahead", "5"],
            "--ema 0.9 and --lookahead 5: expected one of them",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--class-weights", "1,2"],
            "--class-weights 1,2: 2 numbers; expected 10, one per class",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--class-weights", "equal"],
            "--class-weights equal: expected `balanced`, or numbers with commas between them",
        ),
        (
            ["train", "lenet5_1998", "--data", "digits", "--label-smoothing", "0.1"],
            "label_smoothing: the loss MAPLoss(j=0.1) has none; expected SoftmaxCrossEntropy",
        ),
        (
            ["train", "lenet5", "--data", "digits", "--min-delta", "0.1"],
            "--min-delta 0.1 needs --early-stop EPOCHS",
        ),
        (["train", "lenet5", "--data", "digits", "--resume"], "there is no run to resume"),
        (
            ["train", "lenet5", "--data", "digits", "-o", "num_classes=4"],
            "the network has classes 0 to 3",
        ),
        (["evaluate", "nothing.safetensors"], "nothing.safetensors: cannot be read: No such file"),
        (["data", "digits", "--augment", "lenet"], "--augment lenet: expected MODEL, MODEL:RECIPE"),
        (["data", "digits", "--augment", "lenet5:best"], "lenet5 has no recipe 'best'"),
        (["data", "digits", "--augment", "krizhevsky"], "the images are gray"),
        (["data", "digits", "--out", "no/a.png"], "there is no folder no"),
        (["data", "cifar99"], "'cifar99' is neither a data set"),
        (["data", "imagenet"], "there is no ImageNet, which minicnn does not download"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_errors_are_one_sentence(minicnn, arguments, message):
    said = minicnn(*arguments, code=2)
    assert message in " ".join(said.replace("│", " ").split())


def test_debug_shows_the_traceback(minicnn):
    command = [sys.executable, "-m", "minicnn", "--debug", "train", "lenet"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=minicnn.folder,
        env=minicnn.environment,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_interrupt_and_resume(minicnn):
    """Ctrl-C saves; the printed command continues to the result of an uninterrupted run."""
    command = ["-u", "-m", "minicnn", "train", "lenet5", "--data", "digits", "--epochs", "3"]
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=minicnn.folder,
        env=minicnn.environment,
    )
    for line in process.stdout:
        if line.startswith("epoch 1/3"):
            break
    process.send_signal(signal.SIGINT)
    rest, complaint = process.communicate(timeout=300)
    assert (process.returncode, complaint) == (130, "")
    told = rest.strip().splitlines()[-1]
    assert (
        "To continue: minicnn train lenet5 --data digits --epochs 3 "
        "--out runs/lenet5-digits --resume" in told
    )
    resumed = minicnn(*told.partition("To continue: minicnn ")[2].split())
    alone = minicnn("train", "lenet5", "--data", "digits", "--epochs", 3, "--out", "alone")
    assert resumed.splitlines()[-1] == alone.splitlines()[-1]
    first, second = (
        (minicnn.folder / f / "last.safetensors") for f in ("runs/lenet5-digits", "alone")
    )
    from minicnn.weights import load_state

    for name, array in load_state(first).items():
        np.testing.assert_array_equal(array, load_state(second)[name])


def test_import_is_light(minicnn):
    """`import minicnn` imports neither torch nor matplotlib nor typer."""
    heavy = ("torch", "matplotlib", "typer", "PIL.ImageShow")
    code = f"import sys, minicnn; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_predict_takes_folders_and_patterns(minicnn, trained):
    """Every image below a folder, and patterns as cmd.exe hands them over."""
    (minicnn.folder / "in" / "side").mkdir(parents=True)
    for name in ("in/0.png", "in/side/1.png"):
        Image.new("L", (28, 28)).save(minicnn.folder / name)
    checkpoint = trained / "best.safetensors"
    said = minicnn("predict", checkpoint, "in")
    assert "0.png" in said
    assert "1.png" in said
    assert "1.png" not in minicnn("predict", checkpoint, "in/*.png")
    assert "none*.png: there is no image file" in minicnn(
        "predict", checkpoint, "none*.png", code=2
    )


def test_classes_are_matched_by_name_and_files_as_in_training(minicnn):
    """Trained on three colors, evaluated on two of them, predicted from the very files."""
    colors = {"ant": (200, 30, 30), "bee": (30, 200, 30), "cat": (30, 30, 200)}
    for root, classes in (("all", "ant bee cat"), ("few", "bee cat"), ("odd", "bee dog")):
        for name in classes.split():
            for i in range(10):
                path = minicnn.folder / root / ("val" if i > 7 else "train") / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (60, 20), colors.get(name, (9, 9, 9))).save(path)
    options = ("-o", "in_channels=3", "--epochs", 30, "--lr", 0.01, "--out", "run", "--val", 0.25)
    said = minicnn("train", "lenet5", "--data", "all", *options)
    assert "validation loss" in said
    assert "100.00% test accuracy" in said
    for arguments in (("--data", "few"), ()):
        assert "100.00% test accuracy" in minicnn("evaluate", "run/best.safetensors", *arguments)
    said = minicnn("evaluate", "run/best.safetensors", "--data", "odd", code=2)
    assert "the network has no class dog; its 3 classes are ant, bee, cat" in said
    said = minicnn("predict", "--top", 1, "run/best.safetensors", "all/val/bee", "few/val/cat")
    assert said.count("bee ") == said.count("cat ") == 2
