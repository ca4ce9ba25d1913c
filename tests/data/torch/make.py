"""Files of torch.save, each with the tensors of expected.safetensors.

    python make.py          with PyTorch 2.15 and safetensors: everything but what 1.13 writes
    python make.py old      with PyTorch 1.13: zip_1.13.pth, legacy_1.13.pth

Written into this folder. The tensors are small numbers, so that every type holds them exactly.
"""
import argparse
import collections
import os
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def numbers(dtype, *shape):
    n = 1
    for extent in shape:
        n *= extent
    return (torch.arange(n) - 3).to(dtype).reshape(shape) if dtype != torch.bool else (torch.arange(n) % 3 == 0).reshape(shape)


def state_dict():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    cube = (torch.arange(24) - 7).to(torch.bfloat16).reshape(2, 3, 4)
    sd = collections.OrderedDict()
    sd["f32"] = numbers(torch.float32, 2, 3)
    sd["f16"] = numbers(torch.float16, 5)
    sd["bf16"] = numbers(torch.bfloat16, 1, 3, 1)
    sd["f64"] = numbers(torch.float64, 2)
    sd["embeddings.position_ids"] = torch.arange(4).expand((1, -1))
    sd["i32"] = numbers(torch.int32, 2)
    sd["i16"] = numbers(torch.int16, 3)
    sd["i8"] = numbers(torch.int8, 3)
    sd["u8"] = (numbers(torch.int32, 3) + 250).to(torch.uint8)
    sd["bool"] = numbers(torch.bool, 4)
    sd["temp"] = torch.tensor(0.0625)
    sd["none"] = torch.zeros(0, 7)
    sd["parameter"] = torch.nn.Parameter(numbers(torch.float32, 2, 2))
    sd["base"] = base
    sd["base.tied"] = base
    sd["base.rows"] = base[1:3]  # an offset
    sd["base.columns"] = base[:, 1::2]  # strides
    sd["base.transposed"] = base.t()
    sd["cube.turned"] = cube.permute(2, 0, 1)
    sd["expanded"] = torch.tensor([1.5, 2.5]).reshape(2, 1).expand(2, 3)
    sd["gr\u00f6\u00dfe"] = numbers(torch.float16, 2)
    sd._metadata = {"": {"version": 1}}  # as nn.Module.state_dict has it
    return sd


def beside():
    """What a training program saves beside the model; nothing of it is needed."""
    import numpy

    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {
        "optimizer": optimizer.state_dict(),
        "config": argparse.Namespace(name="x", lr=1e-4, steps=[1, 2]),
        "score": numpy.float32(3),
        "seen": {1, 2},
        "raw": b"\0\1",
        "large": 1 << 80,
        "negative": -5,
        "dtype": torch.float16,
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "counts": collections.Counter("aab"),
        "epoch": 3,
    }


class Calls:
    """What Python would call on loading."""

    def __init__(self, what, *arguments):
        self.call = what, arguments

    def __reduce__(self):
        return self.call


def save(name, what, **how):
    torch.save(what, os.path.join(HERE, name), **how)


def old():
    save("zip_1.13.pth", state_dict())
    save("legacy_1.13.pth", state_dict(), _use_new_zipfile_serialization=False)


def new():
    from safetensors.torch import save_file

    sd = state_dict()
    save_file({k: v.detach().clone().contiguous() for k, v in sd.items()}, os.path.join(HERE, "expected.safetensors"))
    for protocol in 2, 3, 4, 5:
        save(f"zip_p{protocol}.pth", sd, pickle_protocol=protocol)
        save(f"legacy_p{protocol}.pth", sd, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    for protocol in 2, 4:
        save(f"lavis_p{protocol}.pth", {**beside(), "model": sd}, pickle_protocol=protocol)
        save(f"lavis_legacy_p{protocol}.pth", {**beside(), "model": sd}, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    untyped = numbers(torch.float32, 2, 3).untyped_storage()
    v3 = Calls(torch._utils._rebuild_tensor_v3, untyped, 0, (2, 3), (3, 1), False, collections.OrderedDict(), torch.float32)
    save("v3.pth", {"f32": v3, "epoch": 3})

    one = torch.ones(1)
    save("bad_module.pth", torch.nn.Linear(1, 1))
    save("bad_model.pth", {"model": torch.nn.Linear(1, 1), "epoch": 3})
    save("bad_call.pth", {"weight": one, "evil": Calls(os.system, "touch /tmp/evil")})
    save("bad_call_p4.pth", {"weight": Calls(eval, "1")}, pickle_protocol=4)
    save("bad_list.pth", [one])
    save("bad_nothing.pth", {"state_dict": {"weight": one}})
    save("bad_type.pth", {"weight": one.to(torch.complex64)})
    save("bad_type_v3.pth", {"weight": one.to(torch.uint16)})
    save("bad_sparse.pth", {"weight": one.to_sparse()})


old() if sys.argv[1:] == ["old"] else new()
