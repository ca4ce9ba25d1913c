"""worker.py: what products_torch.py and products_openvino.py share; the C programs have products.h."""
import json
import re
import statistics
import sys
import time

import common

FOOTPRINT = 400 << 20  # bytes of weights, all copies together; the same in products.h and bench_linear.c


def copies_of(nbytes):
    return max(1, FOOTPRINT // nbytes)


def share(fn, n):
    """Milliseconds of one of the n products that fn computes."""
    start = time.perf_counter()
    fn()
    return (time.perf_counter() - start) * 1e3 / n


def median_ms(fn):
    """Median of the milliseconds of fn(0), fn(1), ..., as bench_linear takes it: of the calls of a quarter of a second,
    5 to 400, without the first. fn may return them itself."""
    fn(0)
    times, start = [], time.perf_counter()
    while len(times) < 400 and (len(times) < 5 or time.perf_counter() - start < 0.25):
        begin = time.perf_counter()
        own = fn(len(times) + 1)
        times.append(own if isinstance(own, float) else (time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def time_shape(make, kernel, text):
    shape = re.fullmatch(r"(\d+)x(\d+)-(\d+)", text)
    rows, n_in, n_out = map(int, shape.groups() if shape else common.die(f"{text}: expected ROWSxIN-OUT"))
    nbytes, call = make(rows, n_in, n_out)
    print(json.dumps({"rows": rows, "in": n_in, "out": n_out, "kernel": kernel, "ms": median_ms(call),
                      "bytes": nbytes}), flush=True)


def main(doc, maker):
    """maker(format, threads) gives (make, name of the kernel), or (None, why there is none); make(rows, in, out) gives (bytes
    of a copy of the weights, a call that takes a number and multiplies with that copy)."""
    if len(sys.argv) < 4:
        common.die(doc.splitlines()[0])
    make, kernel = maker(sys.argv[2], int(sys.argv[1]))
    if not make:
        return common.say(f"{sys.argv[2]}: {kernel}")
    for text in sys.argv[3:]:
        time_shape(make, kernel, text)
