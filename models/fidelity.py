"""The ledger: for each network what its paper says, what the code here does, and every known deviation or error with its source.

`python -m minicnn.models.fidelity` writes docs/fidelity.md from it, with the counts computed from the code.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

from minicnn import registry
from minicnn.layers.init import skip_init
from minicnn.study.summary import summarize


class Point(NamedTuple):
    """One thing to know: where it is from (the source), what that says, and what the code here does about it."""

    source: str
    says: str
    here: str


TABLE_1 = "Limon-7/deep-learning-libray, README (a table this project started from)"
TABLE_2 = "AIOSYM/dl-model-gallery, README (a table this project started from)"

LEDGER: dict[str, tuple[str, list[Point]]] = {
    "LeNet": (
        "lenet",
        [
            Point(
                "LeCun et al. 1998, sections II.B and III",
                "60,000 trainable parameters, 340,908 connections",
                "`lenet5_1998`: both exactly",
            ),
            Point(
                "LeCun et al. 1998, table I",
                "60 of 96 pairs of maps are connected in C3",
                "`Conv2d(connections=...)`: 1,516 parameters in C3",
            ),
            Point(
                "LeCun et al. 1998, figure 3",
                "7x12 drawings are the codes of the output units",
                "drawings of the same size of our own (smallest distance 8 pixels): the figure itself was not at hand",
            ),
            Point(
                "LeCun et al. 1998, appendix C",
                "stochastic diagonal Levenberg-Marquardt, one image at a time, 20 passes",
                "recipe `paper`: its rates and passes with one rate for all parameters; recipe `default`: SGD with momentum",
            ),
            Point(
                TABLE_1,
                "326,144 connections in C3",
                "241,600 (151,600 in 1998's partial form): one input map and layer 1's size were used there",
            ),
            Point(TABLE_1, "no connections given for C5", "48,120"),
            Point(
                TABLE_1,
                "ReLU on the input and pooling rows",
                "none there: it would clip the input's negative half, and is the identity after averaging",
            ),
            Point(
                TABLE_1, "average pooling, ReLU, C5 as a convolution", "`lenet5`, 61,706 parameters"
            ),
            Point(
                TABLE_2,
                "RGB input, max pooling then sigmoid, nothing between the linear layers",
                "`lenet5_sigmoid`, as written; its linear layers are one affine map",
            ),
            Point(
                TABLE_2,
                "LeNet-5 has its name from five layers with parameters",
                "the 1998 net has seven: S2 and S4 are trained as well",
            ),
            Point(
                "Caffe, examples/mnist",
                "one ReLU, after ip1; inputs divided by 256; biases learn twice as fast",
                "`lenet_caffe`, the same",
            ),
        ],
    ),
    "AlexNet": (
        "alexnet",
        [
            Point(
                "Krizhevsky et al. 2012, section 3.5",
                "input 224x224, conv1 gives 55x55",
                "227, or 224 with 3 zeros at the right and bottom: the authors' code rounded the number of windows up, which is the same",
            ),
            Point(
                "Krizhevsky et al. 2012, figure 2",
                "253,440 neurons after conv1",
                "290,400 = 55x55x96; the figure's number is 55x48x96",
            ),
            Point(
                "Krizhevsky et al. 2012, section 3.3",
                "LRN with n=5, k=2, alpha=1e-4, beta=0.75, the sum not divided",
                "`alexnet`, `alexnet_two_gpu`: the printed formula",
            ),
            Point(
                "cuda-convnet2, layer.py",
                "the authors' own code divides alpha by n",
                "`LocalResponseNorm(alpha_div_n=True)` is that",
            ),
            Point(
                "Caffe, bvlc_reference_caffenet",
                "pooling before LRN; alpha / n and k=1; biases start at 1",
                "`caffenet`, the same",
            ),
            Point(
                "Krizhevsky et al. 2012, section 3.2",
                "conv2, 4 and 5 see the maps on their own GPU",
                "`alexnet_two_gpu`: 2 groups; `alexnet`: dense",
            ),
            Point(
                "torchvision, alexnet.py",
                "64-192-384-256-256 maps, no LRN, no groups, dropout before the linear layers",
                "`alexnet_torchvision`, from Krizhevsky 2014",
            ),
            Point(
                "Krizhevsky et al. 2012, section 4.1",
                "PCA color shifts, 10-crop testing",
                "not yet here: crops and mirroring alone",
            ),
            Point(
                TABLE_2,
                "conv2 with padding 1",
                "padding 2: with 1 the sizes 27 and 6x6x256 do not come out",
            ),
            Point(
                TABLE_2,
                "no dropout, and a single tower",
                "dropout 0.5 after fc6 and fc7, as in the paper; the single tower is `alexnet`",
            ),
        ],
    ),
    "ZFNet": (
        "zfnet",
        [
            Point(
                "Zeiler & Fergus 2013, figure 3",
                "224 -> 110 -> 55 -> 26 -> 13 -> 13 -> 6",
                "padding 1 in conv1 and ceil mode in the pools: what these sizes need",
            ),
            Point(
                "Zeiler & Fergus 2013, figure 3",
                "contrast normalization after pooling, its constants not printed",
                "AlexNet's constants",
            ),
            Point(
                "Zeiler & Fergus 2013, section 3",
                "all weights initialized to 10^-2",
                "N(0, 0.01^2): a constant could break no symmetry",
            ),
            Point(
                "Zeiler & Fergus 2013, section 3",
                "filters whose RMS exceeds 0.1 are scaled back to it",
                "the callback `RescaleFilters(0.1)` in the recipe",
            ),
            Point(
                TABLE_1,
                "ZFNet won ILSVRC 2013",
                "the winner was Clarifai (11.7 %); the paper's net has 14.8 % on 2012's test set",
            ),
            Point(
                TABLE_1,
                "it expanded the middle layers",
                "that is the paper's variant (b), `zfnet_wide`; figure 3's net keeps AlexNet's widths",
            ),
        ],
    ),
    "VGG": (
        "vgg",
        [
            Point(
                "Simonyan & Zisserman 2014, table 1",
                "configurations A, A-LRN, B, C, D, E",
                "`vgg11`, `vgg11_lrn`, `vgg13`, `vgg16_c`, `vgg16`, `vgg19`",
            ),
            Point(
                "Simonyan & Zisserman 2014, section 3.1",
                "weights from N(0, 10^-2), deeper nets start from a trained A",
                "Glorot's rule, which the same section's later note recommends instead",
            ),
            Point(
                "torchvision, vgg.py",
                "adaptive pooling to 7x7 before the classifier",
                "the same; it is the identity at 224",
            ),
            Point(
                TABLE_1,
                "24M values, 93 MB an image",
                "15,237,608 values, 58.1 MiB: every row of that list is right, its total is not",
            ),
            Point(
                TABLE_1,
                "138M parameters without biases, 140M in the text",
                "138,357,544 with the 13,416 biases",
            ),
            Point(TABLE_2, "no dropout", "0.5 after fc6 and fc7, as in the paper"),
        ],
    ),
    "GoogLeNet and Inception-v4": (
        "googlenet inception_v4",
        [
            Point(
                "Szegedy et al. 2014, table 1",
                "conv1 has 2.7K parameters and 34M operations",
                "9,472 and 118M: the printed numbers are those of a depthwise-separable layer",
            ),
            Point(
                "Szegedy et al. 2014, table 1",
                "112, 56, 28, 14, 7",
                "ceil mode in every 3x3/2 pool; floor would give 55, 27, 13, 6",
            ),
            Point(
                "Szegedy et al. 2014, section 5",
                "two auxiliary classifiers after 4a and 4d, weight 0.3, dropout 0.7",
                "the same; `aux=False` leaves them out",
            ),
            Point(
                "Szegedy et al. 2014",
                "LRN constants and weight initialization are not given",
                "Caffe's: n=5, alpha=1e-4 / 5, k=1; its xavier filler, biases 0.2",
            ),
            Point(
                "torchvision #906",
                "3x3 convolutions in the branch called 5x5",
                "kept in `googlenet_torchvision` alone, so that its weights fit",
            ),
            Point(
                "torchvision, googlenet.py",
                "batch norm, no LRN, a 2x2 fourth pool, dropout 0.2",
                "`googlenet_torchvision`; `googlenet_bn` is batch norm with the true 5x5",
            ),
            Point(
                "torchvision, googlenet.py",
                "pretrained weights expect inputs in [-1, 1]",
                "not done by the network: normalize with mean and std 0.5 for them",
            ),
            Point(
                "Szegedy et al. 2016, figures 3 to 9",
                "some pairs of 1x7 and 7x1 in another order than the released code",
                "`inception_v4` follows the code; the counts are the same",
            ),
            Point(TABLE_1, "4M parameters", "6,998,552"),
            Point(TABLE_2, "conv1 with padding 0", "padding 3: 0 gives 109 instead of 112"),
            Point(
                TABLE_2,
                "5a and 5b left blank, no activation in the modules",
                "the paper's widths, ReLU after every convolution",
            ),
        ],
    ),
    "ResNet": (
        "resnet",
        [
            Point(
                "He et al. 2015b, table 1; He's Caffe models",
                "stride 2 in the first 1x1 of a bottleneck",
                "`resnet50_v1`, `101_v1`, `152_v1`",
            ),
            Point(
                "fb.resnet.torch; torchvision",
                'stride 2 in the 3x3 ("v1.5"): 6 % more operations, the same parameters',
                "`resnet50`, `101`, `152`",
            ),
            Point(
                "He's Caffe models",
                "pool1 without padding, in ceil mode; a bias on ResNet-50's conv1",
                "padding 1 and floor, no bias, as torchvision: windows lie one pixel apart",
            ),
            Point(
                "He et al. 2015b, section 3.3",
                "shortcuts A, B, C",
                'the option `option="A"`, `"B"`, `"C"`',
            ),
            Point(
                "fb.resnet.torch against the usual CIFAR checkpoints",
                "option A pads channels behind, or half on both sides",
                "`both_sides=True` is the second",
            ),
            Point(
                "He et al. 2015b, section 3.4",
                "batch norm's statistics recomputed after training",
                "the moving average, as torch has it",
            ),
            Point(
                "He et al. 2016, section 4 and appendix",
                "the first unit's activation is shared, shape-changing units activate before the split",
                "`preresnet*`, the same",
            ),
            Point(
                TABLE_1,
                "ResNets have no fully connected layer",
                "they have one, 512 or 2048 -> 1000",
            ),
        ],
    ),
    "NiN": (
        "nin",
        [
            Point(
                "Lin et al. 2013, figure 2; the author's cuda-convnet files",
                "max pooling after both first stages, ReLU on the last 1x1 too",
                "`nin_cifar10`, the same",
            ),
            Point(
                "Caffe gist of NiN",
                "average pooling in the second stage",
                "max pooling, as the author",
            ),
            Point(
                "Lin et al. 2013, section 4.1",
                "contrast normalization and ZCA whitening of CIFAR",
                "not yet here: mean and standard deviation per channel",
            ),
            Point("Lin et al. 2013", "no ImageNet net", "`nin_imagenet` is the Caffe model zoo's"),
            Point(TABLE_1, "its section on NiN is titled LiNet and empty", "`nin_*`"),
        ],
    ),
}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def document(agreement: dict | None = None) -> str:
    """docs/fidelity.md as text; `agreement` is what `tests/models/twin_table.py` measured."""
    lines = [
        "# Fidelity",
        "",
        "What the papers say, what the code does, and every deviation and error that we know of, with its source.",
        "Generated by `python -m minicnn.models.fidelity`; a test keeps it current. Counts are computed from the code.",
        "",
    ]
    for family, (modules, points) in LEDGER.items():
        files = ", ".join(f"`models/{module}.py`" for module in modules.split())
        lines += [
            f"## {family}",
            "",
            files,
            "",
            "| network | input | parameters | MACs | recipe from |",
            "|---|---|---:|---:|---|",
        ]
        for name in registry.names():
            entry = registry.entry(name)
            if entry.build.__module__.rpartition(".")[2] not in modules.split():
                continue
            with skip_init():
                table = summarize(registry.create(name))
            size = "x".join(map(str, table.input))
            source = _cell(entry.recipes.get("paper", entry.recipes["default"]).source)
            lines.append(
                f"| `{name}` | {size} | {table.parameters:,} | {table.macs:,} | {source} |"
            )
        lines += ["", "| source | it says | here |", "|---|---|---|"]
        lines += [f"| {_cell(p.source)} | {_cell(p.says)} | {_cell(p.here)} |" for p in points]
        lines.append("")
    lines += [
        "With auxiliary heads the parameters above include them and the MACs do not: 6,998,552 parameters are GoogLeNet's main path.",
        "",
        *_agreement(agreement),
    ]
    return "\n".join(lines)


def _agreement(measured: dict | None) -> list[str]:
    if not measured:
        return []
    lines = [
        "## Agreement with independent twins",
        "",
        f"Largest relative difference from a twin in torch {measured['torch']} (`tests/models/twins.py`), in train and in eval mode:",
        "logits, loss and running statistics (forward), gradients of input and parameters (gradient); float64, reduced input.",
        "Measured by `python -m tests.models.twin_table`.",
        "",
        "The last columns are float32 at the network's own input: relative L2 distance from the twin in float64, ours / torch's, of the",
        "outputs in train mode, of all gradients together, and of the logits in eval mode (`python -m tests.models.twin_table --float32`).",
        "Gradients cannot agree better than two float32 engines round: a unit near the kink of ReLU, or two near-equal values in a max",
        "pool, fall to different sides. Outputs agree to 1e-4 but for the deepest nets, whose batch norms over two images enlarge what was",
        "rounded before them, in torch as here. Where ours are farther off than torch's, Winograd's algorithm rounds ten times as much",
        'before the kinks; with the plain sums (`algorithm("direct")` of `minicnn.kernels.cpu.conv`) they are as far off as torch\'s.',
        "",
        "| network | parameters | MACs | forward | gradient | seconds | float32 forward | float32 gradient | float32 eval |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in measured["networks"].items():
        found, single = row["float64"], row.get("float32")
        cells = (
            [
                f"{single[what][0]:.0e} / {single[what][1]:.0e}"
                for what in ("forward", "gradient", "eval")
            ]
            if single
            else [""] * 3
        )
        counts = f"{row['parameters']:,} | {row['macs']:,}"
        errors = f"{found['forward']:.0e} | {found['gradient']:.0e} | {found['seconds']:.1f}"
        lines.append(f"| `{name}` | {counts} | {errors} | {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> None:
    """Write docs/fidelity.md in the source tree that the current folder belongs to."""
    docs = Path("docs")
    if not docs.is_dir():
        sys.exit("run this in minicnn's source tree: there is no folder docs here")
    twins = docs / "twins.json"
    measured = json.loads(twins.read_text()) if twins.exists() else None
    (docs / "fidelity.md").write_text(document(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
