/* Row kernels of every set that runs here, against double precision. */
#include "cpu_bench.h"

/* rows x cols, big ones so that the work is split over threads */
static const int sizes[][2] = {{1, 1}, {3, 7}, {5, 33}, {2, 768}, {257, 1408}, {61, 1030}};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static Param vector(Tensor *memory, int n)
{
    *memory = matrix(1, n, 0, false);
    return (Param){.dtype = F32, .rows = 1, .cols = n, .data = memory->data};
}

/* Calls fn on 1, 2 and 3 threads; y must come out the same. */
typedef struct Call {
    Tensor y, x, b;
    Param gamma, beta;
    Act act;
    float eps;
    const int *ids;
} Call;

static void same_for_threads(Stream *d, Call *c, void (*fn)(Stream *, Call *))
{
    d->threads = 1;
    fn(d, c);
    float *first = copy_of(f32(&c->y), &c->y);
    for (d->threads = 2; d->threads <= 3; d->threads++) {
        memset(c->y.data, 0, (size_t)c->y.rows * (size_t)c->y.ld * 4);
        fn(d, c);
        assert_true(same_bits(f32(&c->y), c->y.ld, first, c->y.ld, c->y.rows, c->y.cols));
    }
    memcpy(c->y.data, first, (size_t)c->y.rows * (size_t)c->y.ld * 4);
    d->threads = 2;
    free(first);
}

/* --- layernorm --------------------------------------------------------------------------------- */

static void call_norm(Stream *d, Call *c)
{
    d->k->layernorm(d, &c->y, &c->x, &c->gamma, &c->beta, c->eps);
}

static void norm64(double *y, const Call *c)
{
    int n = c->x.cols;
    for (int r = 0; r < c->x.rows; r++) {
        const float *x = row_f32(&c->x, r);
        double mean = 0, var = 0;
        for (int i = 0; i < n; i++)
            mean += x[i];
        mean /= n;
        for (int i = 0; i < n; i++)
            var += (x[i] - mean) * (x[i] - mean) / n;
        for (int i = 0; i < n; i++)
            y[r * n + i] =
                (x[i] - mean) / sqrt(var + (double)c->eps) * ((const float *)c->gamma.data)[i] +
                ((const float *)c->beta.data)[i];
    }
}

/* offset: a mean far from zero loses digits of x, and may not lose more. */
static void norm_one(Stream *d, int rows, int cols, float offset, double limit)
{
    Tensor g, b;
    Call c = {.y = matrix(rows, cols, 3, false),
              .x = matrix(rows, cols, 5, false),
              .gamma = vector(&g, cols),
              .beta = vector(&b, cols),
              .eps = 1e-5f};
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < cols; i++)
            row_f32(&c.x, r)[i] += offset;
    double *ref = malloc((size_t)rows * (size_t)cols * sizeof(double));
    norm64(ref, &c);
    same_for_threads(d, &c, call_norm);
    char what[64];
    snprintf(what, sizeof(what), "layernorm %dx%d, mean %g", rows, cols, (double)offset);
    check_error(d, what, worst_error(f32(&c.y), c.y.ld, ref, rows, cols, 1), limit);
    check_guards(&c.y);
    Tensor x = part(&c.x, rows / 2, 1, 0, cols), y = part(&c.x, rows / 2, 1, 0, cols);
    d->k->layernorm(d, &y, &x, &c.gamma, &c.beta, c.eps); /* alone, in place */
    assert_true(same_bits(f32(&y), y.ld, row_f32(&c.y, rows / 2), c.y.ld, 1, cols));
    row_f32(&c.x, 0)[cols - 1] = NAN;
    call_norm(d, &c);
    assert_true(isnan(row_f32(&c.y, 0)[0]));
    free(ref);
    matrix_free(&c.x);
    matrix_free(&c.y);
    matrix_free(&g);
    matrix_free(&b);
}

static void norms(Stream *d)
{
    for (int i = 0; i < SIZES; i++)
        norm_one(d, sizes[i][0], sizes[i][1], 0, 1e-6);
    norm_one(d, 9, 1408, 100, 1e-6);
    norm_one(d, 9, 1408, 30000, 1e-6);
}

/* A parameter at an odd address. */
static void norm_unaligned(Stream *d)
{
    Tensor x = matrix(3, 37, 0, false), y = matrix(3, 37, 0, false), z = matrix(3, 37, 0, false);
    Tensor gt, bt;
    Param gamma = vector(&gt, 37), beta = vector(&bt, 37), odd_gamma = gamma, odd_beta = beta;
    char *g = malloc(37 * 4 + 1), *b = malloc(37 * 4 + 3);
    odd_gamma.data = memcpy(g + 1, gamma.data, 37 * 4);
    odd_beta.data = memcpy(b + 3, beta.data, 37 * 4);
    d->k->layernorm(d, &y, &x, &gamma, &beta, 1e-12f);
    d->k->layernorm(d, &z, &x, &odd_gamma, &odd_beta, 1e-12f);
    assert_true(same_bits(f32(&y), 37, f32(&z), 37, 3, 37));
    free(g);
    free(b);
    matrix_free(&x);
    matrix_free(&y);
    matrix_free(&z);
    matrix_free(&gt);
    matrix_free(&bt);
}

/* --- rmsnorm, l2norm ----------------------------------------------------------------------------- */

static void call_rms(Stream *d, Call *c)
{
    d->k->rmsnorm(d, &c->y, &c->x, &c->gamma, c->eps);
}

static void call_l2(Stream *d, Call *c)
{
    d->k->l2norm(d, &c->y, &c->x, c->eps);
}

static double squares64(const float *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static double *scaled64(const Call *c, bool rms)
{
    int n = c->x.cols;
    double *y = malloc((size_t)c->x.rows * (size_t)n * sizeof(double));
    for (int r = 0; r < c->x.rows; r++) {
        const float *x = row_f32(&c->x, r);
        double all = squares64(x, n);
        double factor =
            rms ? 1 / sqrt(all / n + (double)c->eps) : 1 / fmax(sqrt(all), (double)c->eps);
        for (int i = 0; i < n; i++)
            y[r * n + i] = x[i] * factor * (rms ? ((const float *)c->gamma.data)[i] : 1);
    }
    return y;
}

/* size: of the numbers in x. */
static void scaled_one(Stream *d, int rows, int cols, float size, bool rms)
{
    Tensor g;
    Call c = {.y = matrix(rows, cols, 3, false),
              .x = matrix(rows, cols, 5, false),
              .gamma = vector(&g, cols),
              .eps = rms ? 1e-6f : 1e-12f};
    for (int i = 0; i < rows * cols; i++)
        row_f32(&c.x, i / cols)[i % cols] *= size;
    double *ref = scaled64(&c, rms);
    same_for_threads(d, &c, rms ? call_rms : call_l2);
    char what[64];
    snprintf(what, sizeof(what), "%s %dx%d of size %g", rms ? "rmsnorm" : "l2norm", rows, cols,
             (double)size);
    check_error(d, what, worst_error(f32(&c.y), c.y.ld, ref, rows, cols, 1), 1e-6);
    check_guards(&c.y);
    Call alone = c;
    alone.x = alone.y = part(&c.x, rows / 2, 1, 0, cols); /* in place */
    (rms ? call_rms : call_l2)(d, &alone);
    assert_true(same_bits(f32(&alone.y), c.x.ld, row_f32(&c.y, rows / 2), c.y.ld, 1, cols));
    row_f32(&c.x, 0)[cols - 1] = NAN;
    (rms ? call_rms : call_l2)(d, &c);
    assert_true(isnan(row_f32(&c.y, 0)[0]));
    free(ref);
    matrix_free(&c.x);
    matrix_free(&c.y);
    matrix_free(&g);
}

static void scaled_norms(Stream *d)
{
    for (int i = 0; i < SIZES; i++) {
        scaled_one(d, sizes[i][0], sizes[i][1], 1, true);
        scaled_one(d, sizes[i][0], sizes[i][1], 1, false);
    }
    scaled_one(d, 9, 2048, 1e4f, true);
    scaled_one(d, 9, 2048, 1e-4f, true);
    scaled_one(d, 9, 256, 1e-15f, false); /* shorter than the least */
}

/* --- activations ------------------------------------------------------------------------------- */

static void call_act(Stream *d, Call *c)
{
    d->k->activate(d, &c->y, &c->x, c->act);
}

static double act64(double x, Act act)
{
    switch (act) {
    case ACT_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case ACT_RELU: return x > 0 ? x : 0;
    case ACT_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    default: return x;
    }
}

static void activations(Stream *d)
{
    for (int act = ACT_NONE; act <= ACT_GELU_TANH; act++) {
        Call c = {
            .y = matrix(61, 1030, 2, false), .x = matrix(61, 1030, 1, false), .act = (Act)act};
        double *ref = malloc(61 * 1030 * sizeof(double));
        for (int i = 0; i < 61 * 1030; i++) {
            float *x = row_f32(&c.x, i / 1030) + i % 1030;
            *x *= 3;
            ref[i] = act64(*x, c.act);
        }
        same_for_threads(d, &c, call_act);
        static const char *const names[] = {"none", "gelu", "relu", "quick_gelu", "gelu_tanh"};
        check_error(d, names[act], worst_error(f32(&c.y), c.y.ld, ref, 61, 1030, 1), 1e-6);
        check_guards(&c.y);
        row_f32(&c.x, 0)[0] = NAN;
        d->k->activate(d, &c.x, &c.x, c.act); /* in place */
        assert_true(isnan(f32(&c.x)[0]));
        assert_true(same_bits(f32(&c.x) + 1, c.x.ld, f32(&c.y) + 1, c.y.ld, 61, 1029));
        free(ref);
        matrix_free(&c.x);
        matrix_free(&c.y);
    }
}

/* --- copies ------------------------------------------------------------------------------------ */

static void call_add(Stream *d, Call *c)
{
    d->k->add(d, &c->y, &c->x, &c->b);
}

static void adding(Stream *d)
{
    for (int i = 0; i < SIZES; i++) {
        int rows = sizes[i][0], cols = sizes[i][1];
        Call c = {.y = matrix(rows, cols, 2, false),
                  .x = matrix(rows, cols, 1, false),
                  .b = matrix(rows, cols, 4, false)};
        same_for_threads(d, &c, call_add);
        for (int r = 0; r < rows; r++)
            for (int k = 0; k < cols; k++)
                assert_true(row_f32(&c.y, r)[k] == row_f32(&c.x, r)[k] + row_f32(&c.b, r)[k]);
        check_guards(&c.y);
        d->k->add(d, &c.b, &c.x, &c.b);
        assert_true(same_bits(f32(&c.b), c.b.ld, f32(&c.y), c.y.ld, rows, cols));
        d->k->copy(d, &c.x, &c.y);
        assert_true(same_bits(f32(&c.x), c.x.ld, f32(&c.y), c.y.ld, rows, cols));
        check_guards(&c.x);
        matrix_free(&c.x);
        matrix_free(&c.y);
        matrix_free(&c.b);
    }
}

static void call_multiply(Stream *d, Call *c)
{
    d->k->multiply(d, &c->y, &c->x, &c->b);
}

static void call_mean(Stream *d, Call *c)
{
    d->k->mean_rows(d, &c->y, &c->x, c->ids[0]);
}

static void multiplying(Stream *d)
{
    for (int i = 0; i < SIZES; i++) {
        int rows = sizes[i][0], cols = sizes[i][1];
        Call c = {.y = matrix(rows, cols, 2, false),
                  .x = matrix(rows, cols, 1, false),
                  .b = matrix(rows, cols, 4, false)};
        same_for_threads(d, &c, call_multiply);
        for (int r = 0; r < rows; r++)
            for (int k = 0; k < cols; k++)
                assert_true(row_f32(&c.y, r)[k] == row_f32(&c.x, r)[k] * row_f32(&c.b, r)[k]);
        check_guards(&c.y);
        d->k->multiply(d, &c.b, &c.x, &c.b);
        assert_true(same_bits(f32(&c.b), c.b.ld, f32(&c.y), c.y.ld, rows, cols));
        matrix_free(&c.x);
        matrix_free(&c.y);
        matrix_free(&c.b);
    }
}

static void means(Stream *d)
{
    static const int GROUPS[][3] = {{1, 1, 1}, {3, 32, 2}, {5, 7, 33}, {40, 32, 768}};
    for (size_t i = 0; i < sizeof(GROUPS) / sizeof(GROUPS[0]); i++) {
        int n = GROUPS[i][0], each = GROUPS[i][1], cols = GROUPS[i][2];
        Call c = {.y = matrix(n, cols, 2, false),
                  .x = matrix(n * each, cols, 1, false),
                  .ids = &GROUPS[i][1]};
        double *ref = calloc((size_t)n * (size_t)cols, sizeof(double));
        for (int r = 0; r < n * each; r++)
            for (int k = 0; k < cols; k++)
                ref[r / each * cols + k] += (double)row_f32(&c.x, r)[k] / each;
        same_for_threads(d, &c, call_mean);
        check_error(d, "mean of rows", worst_error(f32(&c.y), c.y.ld, ref, n, cols, 1), 1e-6);
        check_guards(&c.y);
        free(ref);
        matrix_free(&c.x);
        matrix_free(&c.y);
    }
}

static void unfolding(Stream *d)
{
    enum { B = 2, H = 17, WIDE = 23, P = 5, GH = H / P, GW = WIDE / P };
    Tensor px = matrix(B, 3 * H * WIDE, 5, false), y = matrix(B * GH * GW, 3 * P * P, 2, false);
    d->k->unfold(d, &y, &px, H, WIDE, P);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < GH * GW; i++)
            for (int col = 0; col < 3 * P * P; col++) {
                int c = col / (P * P), row = i / GW * P + col / P % P, at = i % GW * P + col % P;
                assert_true(row_f32(&y, b * GH * GW + i)[col] ==
                            row_f32(&px, b)[(c * H + row) * WIDE + at]);
            }
    check_guards(&y);
    matrix_free(&px);
    matrix_free(&y);
}

static void storing(Stream *d)
{
    const int slots[] = {5, 0, 9, 3};
    Tensor x = matrix(4, 13, 2, false), cache = matrix(10, 13, 0, false);
    float *before = copy_of(f32(&cache), &cache);
    d->k->store_slots(d, (SlotBlock){F32, cache.data}, &x, slots);
    for (int r = 0; r < 4; r++) {
        assert_memory_equal(row_f32(&cache, slots[r]), row_f32(&x, r), 13 * 4);
        memcpy(before + slots[r] * 13, row_f32(&x, r), 13 * 4);
    }
    assert_memory_equal(before, cache.data, 10 * 13 * 4);
    free(before);
    matrix_free(&x);
    matrix_free(&cache);
}

static void call_gather(Stream *d, Call *c)
{
    d->k->gather_rows(d, &c->y, &c->x, &c->b, c->ids);
}

/* Any row of two matrices, some more than once; the second may be the first, or none. */
static void gathering(Stream *d)
{
    enum { N = 61, A = 9, B = 5, C = 1030 };
    int from[N];
    Call c = {.y = matrix(N, C, 2, false),
              .x = matrix(A, C, 1, false),
              .b = matrix(B, C, 4, false),
              .ids = from};
    for (int i = 0; i < N; i++)
        from[i] = draw_below(A + B);
    same_for_threads(d, &c, call_gather);
    for (int i = 0; i < N; i++)
        assert_memory_equal(row_f32(&c.y, i),
                            from[i] < A ? row_f32(&c.x, from[i]) : row_f32(&c.b, from[i] - A),
                            C * 4);
    check_guards(&c.y);
    d->k->gather_rows(d, &c.y, &c.x, &c.x, (from[0] = A + 3, from[1] = 2, from));
    assert_memory_equal(row_f32(&c.y, 0), row_f32(&c.x, 3), C * 4);
    Tensor y = part(&c.y, 0, 2, 0, C);
    d->k->gather_rows(d, &y, &c.x, NULL, (from[0] = 8, from));
    assert_memory_equal(row_f32(&y, 0), row_f32(&c.x, 8), C * 4);
    matrix_free(&c.x);
    matrix_free(&c.y);
    matrix_free(&c.b);
}

static double keys64(double x)
{
    const double a = -0.75;
    x = fabs(x);
    return x <= 1  ? ((a + 2) * x - (a + 3)) * x * x + 1
           : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
                   : 0;
}

static int clamp(int i, int n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static double source64(int i, int n, int o, bool corners)
{
    return corners ? o > 1 ? (double)i * (n - 1) / (o - 1) : 0 : (i + 0.5) * n / o - 0.5;
}

static double resized64(const Call *c, int i, int col)
{
    const Tensor *x = &c->x;
    int grid = c->ids[0], gh = c->ids[1], gw = c->ids[2];
    double sy = source64(i / gw, grid, gh, c->ids[3]), sx = source64(i % gw, grid, gw, c->ids[3]);
    double sum = 0;
    int y0 = (int)floor(sy), x0 = (int)floor(sx);
    for (int y = y0 - 1; y <= y0 + 2; y++)
        for (int at = x0 - 1; at <= x0 + 2; at++)
            sum += keys64(sy - y) * keys64(sx - at) *
                   row_f32(x, 1 + clamp(y, grid) * grid + clamp(at, grid))[col];
    return sum;
}

static void call_resize(Stream *d, Call *c)
{
    d->k->resize_grid(d, &c->y, &c->x, c->ids[0], c->ids[1], c->ids[2], c->ids[3]);
}

static void resize_one(Stream *d, int grid, int gh, int gw, int cols, bool corners)
{
    Call c = {.x = matrix(1 + grid * grid, cols, 3, false),
              .y = matrix(1 + gh * gw, cols, 1, false),
              .ids = (int[]){grid, gh, gw, corners}};
    double *ref = malloc((size_t)(1 + gh * gw) * (size_t)cols * sizeof(double));
    for (int i = 0; i <= gh * gw; i++)
        for (int k = 0; k < cols; k++)
            ref[i * cols + k] = i ? resized64(&c, i - 1, k) : row_f32(&c.x, 0)[k];
    same_for_threads(d, &c, call_resize);
    char what[64];
    snprintf(what, sizeof(what), "resize %dx%d to %dx%d%s", grid, grid, gh, gw,
             corners ? " by corners" : "");
    /* the place of a source is found in f32; by corners, as torch does, by a step that is rounded itself */
    check_error(d, what, worst_error(f32(&c.y), c.y.ld, ref, 1 + gh * gw, cols, 1),
                corners ? 1e-5 : 5e-6);
    check_guards(&c.y);
    free(ref);
    matrix_free(&c.x);
    matrix_free(&c.y);
}

/* torch.nn.functional.interpolate(mode="bicubic") of PyTorch 2.15.0, of a grid x grid table that holds
 * (7 i^2 + 3 i) mod 17 - 5. */
typedef struct Interpolated {
    int grid, gh, gw;
    bool corners;
    float want[18];
} Interpolated;

static const Interpolated INTERPOLATED[] = {
    {3, 4, 2, true, {-5, -5, -3.4814832f, -4.0555573f, 2.9074059f, 1.4814804f, 10, 8}},
    {3,
     4,
     2,
     false,
     {-2.503376f, -2.4453373f, -2.261982f, -2.6903629f, 2.6091499f, 1.4203434f, 8.5995674f,
      6.9243412f}},
    {4,
     3,
     6,
     true,
     {-5, 2.2000005f, 4.1039991f, -3.3840003f, -4.5280008f, -1, 5.03125f, 3.3696241f, 5.6197519f,
      12.162752f, 11.364874f, 6.03125f, 2, 8.1920004f, 8.6079988f, 0.1119988f, -2.5200026f, 0}},
    {4, 1, 3, true, {-5, 0.5625f, -1}},
};

static void resized_as_torch(Stream *d)
{
    for (size_t i = 0; i < sizeof(INTERPOLATED) / sizeof(INTERPOLATED[0]); i++) {
        const Interpolated *p = &INTERPOLATED[i];
        float x[17] = {0}, y[19];
        for (int k = 0; k < p->grid * p->grid; k++)
            x[1 + k] = (float)((7 * k * k + 3 * k) % 17 - 5);
        Tensor from = {.rows = 1 + p->grid * p->grid, .cols = 1, .ld = 1, .data = x};
        Tensor to = {.rows = 1 + p->gh * p->gw, .cols = 1, .ld = 1, .data = y};
        d->k->resize_grid(d, &to, &from, p->grid, p->gh, p->gw, p->corners);
        for (int k = 0; k < p->gh * p->gw; k++)
            assert_true(fabsf(y[1 + k] - p->want[k]) < 1e-5f);
    }
}

static void resizing(Stream *d)
{
    for (int corners = 0; corners < 2; corners++) {
        resize_one(d, 4, 6, 5, 7, corners);
        resize_one(d, 16, 24, 16, 130, corners);
        resize_one(d, 5, 5, 5, 33, corners);
        resize_one(d, 7, 2, 1, 16, corners);
        resize_one(d, 1, 3, 3, 1, corners);
    }
}

/* Tables of all float types, at an odd address. */
static void embedding(Stream *d)
{
    enum { N = 50, C = 700 };
    Tensor t = matrix(N, C, 0, false), y = matrix(60, C, 3, false);
    int ids[60];
    for (int i = 0; i < 60; i++)
        ids[i] = draw_below(N);
    unsigned char *raw = malloc(N * C * 4 + 1);
    for (DType type = F32; type <= BF16; type++) {
        size_t size = dtype_size(type);
        for (int i = 0; i < N * C; i++) {
            float f = f32(&t)[i];
            uint16_t h = type == F16 ? f32_to_f16(f) : f32_to_bf16(f);
            memcpy(raw + 1 + (size_t)i * size, type == F32 ? (void *)&f : (void *)&h, size);
        }
        Param table = {.dtype = type, .rows = N, .cols = C, .data = raw + 1};
        d->k->embed(d, &y, &table, ids);
        for (int r = 0; r < 60; r++)
            for (int c = 0; c < C; c++) {
                float f = row_f32(&t, ids[r])[c], got = row_f32(&y, r)[c];
                float want = type == F32   ? f
                             : type == F16 ? f16_to_f32(f32_to_f16(f))
                                           : bf16_to_f32(f32_to_bf16(f));
                assert_memory_equal(&want, &got, 4);
            }
        check_guards(&y);
    }
    free(raw);
    matrix_free(&t);
    matrix_free(&y);
}

/* --- loss -------------------------------------------------------------------------------------- */

static double loss64(double *probs, const Tensor *x, const int *targets)
{
    double loss = 0;
    int valid = 0;
    for (int r = 0; r < x->rows; r++) {
        double max = -INFINITY, sum = 0;
        for (int c = 0; c < x->cols; c++)
            max = fmax(max, row_f32(x, r)[c]);
        for (int c = 0; c < x->cols; c++)
            sum += exp(row_f32(x, r)[c] - max);
        for (int c = 0; c < x->cols; c++)
            probs[r * x->cols + c] = exp(row_f32(x, r)[c] - max) / sum;
        if (targets[r] >= 0) {
            loss += log(sum) + max - row_f32(x, r)[targets[r]];
            valid++;
        }
    }
    return loss / valid;
}

static void loss_one(Stream *d, int rows, int cols, float spread)
{
    Tensor x = matrix(rows, cols, 1, false), p = matrix(rows, cols, 2, false);
    int *targets = malloc((size_t)rows * sizeof(int));
    for (int r = 0; r < rows; r++) {
        targets[r] = r % 4 == 1 ? -100 : draw_below(cols);
        for (int c = 0; c < cols; c++)
            row_f32(&x, r)[c] *= spread;
    }
    double *ref = malloc((size_t)rows * (size_t)cols * sizeof(double));
    double want = loss64(ref, &x, targets);
    float two, one;
    Tensor loss = {.rows = 1, .cols = 1, .ld = 1, .data = &two};
    d->threads = 2;
    d->k->softmax_loss(d, &loss, &p, &x, targets);
    float *probs = copy_of(f32(&p), &p);
    d->threads = 1;
    loss.data = &one;
    d->k->softmax_loss(d, &loss, &p, &x, targets);
    assert_memory_equal(&one, &two, 4);
    assert_true(same_bits(f32(&p), p.ld, probs, p.ld, rows, cols));
    d->threads = 2;
    char what[64];
    snprintf(what, sizeof(what), "loss %dx%d, spread %g", rows, cols, (double)spread);
    check_error(d, what, fabs(one - want) / fmax(1, fabs(want)), 4e-7);
    check_error(d, "  probabilities", worst_error(f32(&p), p.ld, ref, rows, cols, 1), 1e-6);
    check_guards(&p);
    for (int r = 0; r < rows; r++)
        targets[r] = -1;
    d->k->softmax_loss(d, &loss, &p, &x, targets);
    assert_true(isnan(one)); /* as torch: the mean of nothing */
    free(targets);
    free(probs);
    free(ref);
    matrix_free(&x);
    matrix_free(&p);
}

static void losses(Stream *d)
{
    loss_one(d, 1, 1, 1);
    loss_one(d, 5, 7, 1);
    loss_one(d, 300, 33, 1);
    loss_one(d, 6, 50272, 3);
    loss_one(d, 3, 1000, 200); /* probabilities that underflow: the loss does not */
}

static void test_norms(void **state)
{
    each_isa(norms);
    each_isa(norm_unaligned);
    each_isa(scaled_norms);
}

static void test_activations(void **state)
{
    each_isa(activations);
}

static void test_copies(void **state)
{
    each_isa(adding);
    each_isa(multiplying);
    each_isa(means);
    each_isa(unfolding);
    each_isa(storing);
    each_isa(gathering);
    each_isa(resizing);
    each_isa(resized_as_torch);
    each_isa(embedding);
}

static void test_losses(void **state)
{
    each_isa(losses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
