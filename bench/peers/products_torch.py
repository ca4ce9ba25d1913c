"""products_torch.py THREADS FORMAT ROWSxIN-OUT...: the speed of PyTorch's linear; products.py runs it.

f32, bf16: F.linear (MKL, oneDNN). int8: dynamic quantisation (torch.ao.nn.quantized.dynamic.Linear); quantising x is its own
work and timed. int4: _weight_int4pack_mm_for_cpu, blocks of 32 weights, x bf16.
"""
import warnings

import common
import worker


def dense(torch, dtype):
    def make(rows, n_in, n_out):
        x = torch.randn(rows, n_in).to(dtype)
        one = torch.randn(n_out, n_in).mul(0.02).to(dtype)
        copies = [one.clone() for _ in range(worker.copies_of(one.nbytes))]
        return one.nbytes, lambda i: torch.nn.functional.linear(x, copies[i % len(copies)])
    return make


def int8(torch):
    def make(rows, n_in, n_out):
        x = torch.randn(rows, n_in)
        plain = torch.nn.Sequential(torch.nn.Linear(n_in, n_out, bias=False))
        copies = [torch.ao.quantization.quantize_dynamic(plain, {torch.nn.Linear}, dtype=torch.qint8)
                  for _ in range(worker.copies_of(n_in * n_out))]
        return n_in * n_out, lambda i: copies[i % len(copies)](x)
    return make


def int4(torch):
    def make(rows, n_in, n_out):
        op, x = torch.ops.aten, torch.randn(rows, n_in).bfloat16()
        plain = torch.randint(0, 16, (n_out, n_in), dtype=torch.int32)
        one = op._convert_weight_to_int4pack_for_cpu(plain, 1)
        scales = torch.full((n_in // 32, n_out, 2), 0.01).bfloat16()
        copies = [(one.clone(), scales.clone()) for _ in range(worker.copies_of(one.nbytes + scales.nbytes))]
        return one.nbytes + scales.nbytes, lambda i: op._weight_int4pack_mm_for_cpu(
            x, copies[i % len(copies)][0], 32, copies[i % len(copies)][1])
    return make


def maker(fmt, threads):
    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return {"f32": dense(torch, torch.float32), "bf16": dense(torch, torch.bfloat16), "int8": int8(torch),
            "int4": int4(torch)}[fmt], f"torch {fmt}"


if __name__ == "__main__":
    common.main_of(lambda: worker.main(__doc__, maker))
