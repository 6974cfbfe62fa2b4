"""`minicnn lr-find`: the command that it suggests."""


def test_the_suggested_command_trains_as_the_sweep_did(run):
    options = ["--data", "digits", "--batch-size", 16, "--limit", 200, "--freeze", "C1"]
    said = run("lr-find", "lenet5", *options, "-o", "num_classes=10", "--steps", 20)
    command = said.partition("to train with it: minicnn train ")[2].partition(" --lr ")[0]
    expected = ["lenet5", *options, "--option", "num_classes=10"]
    assert sorted(command.split()) == sorted(map(str, expected))


def test_lr_find(run, tmp_path):
    said = run("lr-find", "lenet5", "--data", "digits", "--steps", 60, "--limit", 400)
    assert "the loss falls fastest at a learning rate of 0.0" in said
    again = "to train with it: minicnn train lenet5 --data digits --limit 400 --lr 0.0"
    assert again in said
    assert (tmp_path / "lr.png").stat().st_size > 10_000
