"""Both formats of torch's files, for every test that writes one."""

import pytest
import torch

FORMATS = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


@pytest.fixture(params=FORMATS)
def save(request):
    return lambda value, path: torch.save(value, path, **FORMATS[request.param])
