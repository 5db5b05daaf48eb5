"""`python tests/all_frozen.py JSON` gives the commands of a list, with the statistics of every batch norm left as they
are, new layers included.

Without that, several processes cannot train to the weights of one: each normalises with the images that it has.
"""

import atexit
import faulthandler
import json
import os
import sys

from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wsol.cli.main import main
from wsol.training import loop


def all_batch_norms(network: nn.Module, new_layers: object) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def check_closed() -> None:
    """The connections between processes are closed before the interpreter ends."""
    if distributed.is_initialized():
        print("connections to other processes were still open at the end", file=sys.stderr, flush=True)
        os._exit(3)


if __name__ == "__main__":
    atexit.register(check_closed)  # called after whatever is registered later, so after wsol's own
    faulthandler.dump_traceback_later(180)  # where it hangs, if it does
    loop.frozen_layers = all_batch_norms
    for words in json.loads(sys.argv[1]):
        main(words)
