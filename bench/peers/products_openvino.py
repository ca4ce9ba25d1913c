"""products_openvino.py THREADS FORMAT ROWSxIN-OUT...: the speed of OpenVINO's MatMul; products.py runs it.

One model holds a product of the same x with each copy of the weights, and one inference is all of them: starting an inference from
Python takes as long as a small product. f32, bf16: the precision hint. int8, int4: weights as their compression
writes them (int8 with a scale for an output, u4 with one for 32), dynamic quantisation of x as the plug-in has it.
"""
import numpy as np

import common
import worker

COPIES = 64  # at most: results of all copies are kept by one inference


def plain(ov, rng, n_in, n_out):
    return ov.opset13.constant(rng.standard_normal((n_out, n_in), dtype=np.float32) * 0.02)


def int8(ov, rng, n_in, n_out):
    op = ov.opset13
    w = op.constant(rng.integers(-127, 127, (n_out, n_in), dtype=np.int8))
    return op.multiply(op.convert(w, "f32"), op.constant(np.full((n_out, 1), 1e-3, np.float32)))


def int4(ov, rng, n_in, n_out):
    op = ov.opset13
    packed = rng.integers(0, 255, n_out * n_in // 2, dtype=np.uint8)
    nibbles = ov.Tensor(packed, ov.Shape([n_out, n_in // 32, 32]), ov.Type.u4)
    w = op.constant(nibbles, shared_memory=False)
    scaled = op.multiply(op.convert(w, "f16"), op.constant(np.full((n_out, n_in // 32, 1), 1e-2, np.float16)))
    return op.convert(op.reshape(scaled, op.constant(np.array([n_out, n_in])), False), "f32")


def model_of(ov, weights, copies, rows, n_in, n_out):
    op, rng = ov.opset13, np.random.default_rng(1)
    x = op.parameter([rows, n_in], np.float32)
    products = [op.matmul(x, weights(ov, rng, n_in, n_out), False, True) for _ in range(copies)]
    return ov.Model([op.result(y) for y in products], [x])


def maker(fmt, threads):
    import openvino as ov

    weights, bits = {"f32": (plain, 32), "bf16": (plain, 16), "int8": (int8, 8), "int4": (int4, 4.5)}[fmt]
    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
              "INFERENCE_PRECISION_HINT": "bf16" if fmt == "bf16" else "f32"}
    if fmt == "bf16" and "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None, "no bf16 on this processor"

    def make(rows, n_in, n_out):
        nbytes = int(n_in * n_out * bits / 8)
        copies = min(COPIES, worker.copies_of(nbytes))
        compiled = ov.Core().compile_model(model_of(ov, weights, copies, rows, n_in, n_out), "CPU", config)
        request = compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(np.random.default_rng(2).standard_normal((rows, n_in), dtype=np.float32)))
        return nbytes, lambda _: worker.share(request.infer, copies)

    return make, f"openvino {fmt}"


if __name__ == "__main__":
    common.main_of(lambda: worker.main(__doc__, maker))
