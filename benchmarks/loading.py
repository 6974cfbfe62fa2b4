"""Training batches from JPEG files, beside torchvision's DataLoader: images per second.

    python benchmarks/loading.py [--repeats 5] [--threads N] [--publish]

JPEGs of 500x375 pixels become random-resized crops of 224x224, mirrored half of the time and
normalized, in batches of 64. torchvision runs with both of its backends (PIL, tensor) and several
numbers of workers; of each backend the fastest number is compared, and the ratio is that to the
faster backend. All sides read the same files, decode each image in each epoch, and are measured in
their second epoch. A last row has minicnn's speed where the originals fit into memory and are kept.
Writes loading.{json,md}.

The images are the photographs of MINICNN_DATA/imagenet-sample, or drawn noise where there are none.
"""

import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import common
import numpy as np
from PIL import Image, ImageOps

IMAGES, BATCH, SIZE = 1008, 64, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def make_images(folder: Path) -> str:
    """Write the JPEGs. Returns what they are."""
    sample = Path(os.environ.get("MINICNN_DATA", "")) / "imagenet-sample"
    photographs = sorted(sample.rglob("*.JPEG"))
    generator = np.random.default_rng(0)
    for i in range(IMAGES):
        if i >= len(photographs) > 0:  # the same photographs again, under other names
            contents = (folder / f"{i - len(photographs):04}.jpg").read_bytes()
            (folder / f"{i:04}.jpg").write_bytes(contents)
            continue
        if photographs:
            image = ImageOps.fit(Image.open(photographs[i]).convert("RGB"), (500, 375))
        else:
            coarse = generator.integers(0, 256, (38, 50, 3), np.uint8)
            image = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
        image.save(folder / f"{i:04}.jpg", quality=95)
    size = sum(path.stat().st_size for path in folder.iterdir()) / IMAGES / 1024
    kind = f"{len(photographs)} photographs of ImageNet" if photographs else "drawn noise"
    return f"{kind}, {size:.0f} KiB each"


def minicnn_epochs(files: list[Path], memory: int, threads: int):
    """A function that reads one epoch."""
    from minicnn import data

    named = [(str(path), path.read_bytes) for path in files]
    images = data.ImageFiles(named, data.Decode((SIZE, SIZE)), memory)
    dataset = data.Dataset(images, np.zeros(len(files), np.int64))
    preprocess = data.Preprocess((SIZE, SIZE), 3, MEAN, STD)
    crop = data.RandomResizedCrop(SIZE, "torchvision", flip=0.5)
    loader = data.Loader(dataset, BATCH, preprocess, crop, shuffle=True, workers=threads)
    return lambda: sum(len(x) for x, _ in loader)


def torchvision_epochs(files: list[Path], backend: str, workers: int, threads: int):
    """A function that reads one epoch."""
    warnings.filterwarnings("ignore", message=".*worker processes")
    import torch
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms import v2

    torch.set_num_threads(threads)
    crop = [v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip()]
    to_tensor = [v2.PILToTensor()] if backend == "PIL" else []
    normalize = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    transform = v2.Compose([*crop, *to_tensor, *normalize])

    class Photographs(torch.utils.data.Dataset):
        def __len__(self):
            return len(files)

        def __getitem__(self, i):
            if backend == "tensor":
                return transform(decode_image(str(files[i]), ImageReadMode.RGB)), 0
            with Image.open(files[i]) as file:
                return transform(file.convert("RGB")), 0

    loader = torch.utils.data.DataLoader(
        Photographs(), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda: sum(len(x) for x, _ in loader)


def measure(folder: Path, side: str, threads: int) -> float:
    """Images per second in the second epoch."""
    files = sorted(folder.glob("*.jpg"))
    if side.startswith("minicnn"):
        epoch = minicnn_epochs(files, 1 << 30 if side.endswith("kept") else 0, threads)
    else:
        _, backend, workers = side.split("-")
        epoch = torchvision_epochs(files, backend, int(workers), threads)
    epoch()
    started = time.perf_counter()
    assert epoch() == IMAGES
    return IMAGES / (time.perf_counter() - started)


def row(name: str, rates: list[float], base: float | None) -> str:
    ratio = f"{statistics.median(rates) / base:.2f}" if base else ""
    return f"| {name} | {common.median_range(rates)} | {ratio} |"


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--side", help="used by the program itself")
    parser.add_argument("folder", nargs="?", help="used by the program itself")
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(Path(options.folder), options.side, options.threads)))
        return
    has_torchvision = find_spec("torchvision") is not None
    if not has_torchvision:
        print("torchvision is not installed: only minicnn is measured (pip install torchvision)")
    with tempfile.TemporaryDirectory() as folder:
        note = make_images(Path(folder))

        def run(sides: list[str], repeats: int) -> dict[str, list]:
            arguments = [folder, f"--threads={options.threads}"]
            return common.interleaved(__file__, sides, repeats, options.threads, arguments)

        workers = sorted({0, 1, options.threads, 2 * options.threads})
        pairs = {b: [f"torchvision-{b}-{w}" for w in workers] for b in ("PIL", "tensor")}
        tried = run([p for several in pairs.values() for p in several], 1 if has_torchvision else 0)
        best = [max(p, key=tried.get) for p in pairs.values()] if has_torchvision else []
        rates = run(["minicnn", *best, "minicnn-kept"], options.repeats)
    base = max((statistics.median(rates[side]) for side in best), default=None)
    lines = ["| loader | images/s: median (min-max) | ratio |", "|---|---:|---:|"]
    for side in best:
        _, backend, count = side.split("-")
        lines.append(row(f"torchvision, backend {backend}, {count} workers", rates[side], base))
    lines.append(row("minicnn", rates["minicnn"], base))
    lines.append(row("minicnn, originals kept in memory", rates["minicnn-kept"], base))
    results = {"images": note, "tried": tried, "rates": rates}
    common.report("loading", "\n".join([*lines, "", f"Images: {note}."]), options, results)


if __name__ == "__main__":
    sys.exit(main())
