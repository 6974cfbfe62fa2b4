"""The peak of this machine: multiply-adds per second of all cores, bytes per second of a copy.

python benchmarks/machine.py [--threads N]
"""

import argparse
import json
import os

import minicnn
from minicnn.kernels.cpu.engine.machine import bandwidth, peak_flops


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    minicnn.set_num_threads(parser.parse_args().threads)
    print(json.dumps({"flops": peak_flops(), "bytes": bandwidth()}))


if __name__ == "__main__":
    main()
