/* tensor/panel.c: see tensor/panel.h. */
#include "tensor/panel.h"

/* Inputs that lie beside each other, and numbers from such a group to the next. */
typedef struct Place {
    size_t group, step;
} Place;

static Place place_of(DType t)
{
    size_t g = panel_group(t);
    return (Place){g, PANEL * g};
}

/* Output `out` (0..31) of a panel, from a row of the matrix. */
static void spread(void *panel, const void *row, size_t out, DType t, size_t cols)
{
    const Place p = place_of(t);
    const size_t size = dtype_size(t);
    char *to = (char *)panel + out * p.group * size;
    for (size_t k = 0; k < cols; k++)
        memcpy(to + (k / p.group * p.step + k % p.group) * size, (const char *)row + k * size,
               size);
}

void panel_from_rows(void *panel, const void *rows, size_t n, DType t, size_t cols)
{
    const size_t size = dtype_size(t);
    if (n < PANEL || cols % panel_group(t))
        memset(panel, 0, size * panel_numbers(t, cols));
    for (size_t i = 0; i < n; i++)
        spread(panel, (const char *)rows + i * cols * size, i, t, cols);
}

void panel_to_row(void *to, const void *panels, size_t row, size_t first, size_t n, DType t,
                  size_t cols)
{
    const Place p = place_of(t);
    const size_t size = dtype_size(t);
    const char *from = (const char *)panels +
                       (row / PANEL * panel_numbers(t, cols) + row % PANEL * p.group) * size;
    for (size_t i = 0; i < n; i++) {
        size_t k = first + i;
        memcpy((char *)to + i * size, from + (k / p.group * p.step + k % p.group) * size, size);
    }
}
