"""The names of splits, and what people make of these words; the types of image files."""

import re

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".gif", ".webp"}
SUFFIXES |= {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
SPLITS = {
    "train": ("train", "training", "trainval"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing", "eval", "evaluation"),
}
# training_set, train-images, seg_train, TestData: a word of these lies before or behind the split;
# val2017, train_256, test1: a number ends the name.
FILLER = r"(?:sets?|data|datasets?|images?|imgs?|split|folder|seg)?"
WORDS = {word: split for split, words in SPLITS.items() for word in words}
NAME = re.compile(rf"{FILLER}[ _-]*({'|'.join(WORDS)})[ _-]*{FILLER}[ _-]*\d* *")


def split_of(folder: str) -> str | None:
    """The split that a folder of that name holds; None if it is not called like one."""
    match = NAME.fullmatch(folder.strip().lower())
    return WORDS[match[1]] if match else None


def split_of_table(stem: str) -> str | None:
    """The split that a table is about: `train`, `trainLabels` and `labels_train` are of train."""
    words = re.findall(r"[A-Z]?[a-z]+", stem)
    found = {WORDS[word.lower()] for word in words if word.lower() in WORDS}
    return found.pop() if len(found) == 1 else None


def splits_in(folder: str) -> set[str]:
    """The splits of which one of the words of a folder's name speaks: `my_train`, `cats-test`."""
    found = {WORDS.get(word) for word in re.findall("[a-z]+", folder.lower())}
    return {split for split in (*found, split_of(folder)) if split}
