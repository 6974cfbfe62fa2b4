"""Writes docs/ablations.md: `python -m tools.ablations`, in the root of the source tree.

The claims are those of minicnn.study.ablation, the numbers those of results/ablations.
"""

from pathlib import Path
from statistics import mean

from minicnn.study.ablation import Ablation, Claim, claims
from minicnn.study.ablation.ablation import published

from .fidelity import row

PAGE = Path(__file__).resolve().parents[1] / "docs" / "ablations.md"

INTRODUCTION = """\
# The papers' claims, run again

Papers give reasons for their layers: overlapping pooling, local response normalization, residual
connections. `minicnn ablate` trains the network with and without the layer, several times each, and
says whether the claim holds.

```sh
minicnn ablate                              # the claims, with estimates of the time
minicnn ablate relu                         # three seeds of each variant
minicnn ablate relu --seeds 5 --out runs/r  # more seeds decide smaller differences
minicnn ablate relu --out runs/r --resume   # continue after an interruption
minicnn ablate relu --data digits --limit 200 --epochs 2      # a trial of a few seconds
```

The variants of a claim have the same recipe, except for what is compared, and with the same seed
get the same images in the same order. The networks and data sets are small, so that a claim takes
minutes, not weeks. A claim that holds on ImageNet need not hold here.

**The verdict.** A statement compares a measure of two variants, such as the test error, over the
seeds. The difference of the means has a 95 % interval (Welch's, from the spread over the seeds).
The statement *holds* if the whole interval is on the claimed side, and *does not hold* if it is on
the other side. Otherwise it is *undecided*: the seeds differ too much to tell. One seed has no
spread and decides nothing but exact counts, such as multiply-adds. A run whose loss is not finite
counts as one that guesses.

If the claim is published with the same settings and images, the command also says how many of the
runs are inside the published bands (see [comparing runs](results.md)), and where others left them.

A folder per run, `VARIANT/SEED`, has the files of `minicnn train`. Beside them are `ablation.json`
with all curves, and `ablation.png` with the curves of all variants, shaded from the least to the
largest value over the seeds.

In Python:

```python
from pathlib import Path

from minicnn.study import ablation
from minicnn.study.ablation.training import load_data

claim = ablation.claim("relu")
found = ablation.ablate(claim, load_data("digits", 32), Path("runs/relu"), seeds=2, epochs=1)
for statement, verdict in found.verdicts():
    print(statement, "--", found.sentence(statement, verdict))
```

## Results
"""

END = """\
`python -m tools.ablations` writes this page from [results/ablations](../results/ablations); a test
keeps it current. Images and environments are in the JSON files. CIFAR-10 decoded from JPEG files is
not CIFAR-10: errors are a little higher than those of the original images.

To publish results: `python benchmarks/publish_ablations.py runs/ablate-relu`.

See also: [comparing runs](results.md), [what each paper says](fidelity.md).
"""


def document() -> str:
    """The text of docs/ablations.md."""
    done = {found.name: found for found in published()}
    lines = [INTRODUCTION, overview(done)]
    lines += [section(claim, done.get(claim.name)) for claim in claims().values()]
    return "\n".join([*lines, END])


def overview(done: dict[str, Ablation]) -> str:
    """One row per statement of every claim."""
    lines = [row("claim", "statement", "the paper", "here"), row(*["---"] * 4)]
    for claim in claims().values():
        found = done.get(claim.name)
        told = (
            [found.sentence(s, v) for s, v in found.verdicts()]
            if found
            else ["not run yet"] * len(claim.statements)
        )
        for statement, text in zip(claim.statements, told, strict=True):
            lines.append(row(f"`{claim.name}`", str(statement), statement.paper, text))
    return "\n".join(lines) + "\n"


def section(claim: Claim, found: Ablation | None) -> str:
    """A claim with its source, its setting, and the measures of the runs."""
    text = f"### {claim.name}\n\n{claim.title} ({claim.source}).\n\n"
    text += f"Unlike the paper: {claim.setting}.\n"
    if found is None:
        size = f"{claim.limit:,} training images, {claim.epochs} epochs"
        return f"{text}\nNot run yet: `minicnn ablate {claim.name}` ({size}).\n"
    size = found.settings
    text += (
        f"\n{size['data']}, {size['training images']:,} training and {size['test images']:,} test "
        f"images, {size['epochs']} epochs; commit {found.environment['commit']}.\n\n"
    )
    lines = [row("variant", "measure", "mean", "min", "max", "seeds")]
    lines.append(row("---", "---", "---:", "---:", "---:", "---:"))
    for measure in claim.measures:
        for name in found.trials:
            values = found.values(name, measure)
            cells = [measure.text(f(values)) for f in (mean, min, max)]
            lines.append(row(name, measure.name, *cells, str(len(values))))
    return text + "\n".join(lines) + "\n"


def main() -> None:
    """Write docs/ablations.md."""
    PAGE.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
