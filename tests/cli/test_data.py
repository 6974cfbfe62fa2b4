"""`minicnn data`: the counts of a data set, and pictures of its images."""

from PIL import Image


def test_data_command(run, tmp_path):
    said = run("data", "digits")
    assert "1,438" in said
    assert (tmp_path / "digits.png").stat().st_size > 10_000


def test_data_command_draws_what_training_will_see(run, tmp_path):
    said = run("data", "digits", "--augment", "lenet5:digits", "--out", "seen.png")
    assert "lenet5:digits: RandomShift(pixels=2), normalize" in said
    with Image.open(tmp_path / "seen.png") as picture:
        assert picture.height > picture.width > 800  # 8 images, 8 columns
    said = run("data", "digits", "--augment", "airbench", "--count", 2, "--out", "two.png")
    assert "RandomShift(pixels=2, padding_mode='reflect')" in said
    with Image.open(tmp_path / "two.png") as picture:
        assert picture.width > 2 * picture.height
