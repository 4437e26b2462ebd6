/* What a C programmer would write by hand for AVX2: four vectors of four doubles in flight, a pixel a lane.
   indices[y * width + x] is the loop index at which the pixel's orbit stops, modulo 32. No fused operations. */
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>

enum { VECTORS = 4, LANES = 4 * VECTORS };

void julia(int width, int height, int iterations, double xa, double xb, double ya, double yb, double cx, double cy,
           uint8_t *indices) {
    const __m256d cr = _mm256_set1_pd(cx), ci = _mm256_set1_pd(cy), four = _mm256_set1_pd(4.0);
    double *xs = malloc(sizeof(double) * (width + LANES));
    for (int x = 0; x < width + LANES; x++) xs[x] = x * (xb - xa) / (width - 1) + xa;
    for (int y = 0; y < height; y++) {
        const __m256d top = _mm256_set1_pd(y * (yb - ya) / (height - 1) + ya);
        for (int left = 0; left < width; left += LANES) {
            __m256d zr[VECTORS], zi[VECTORS];
            __m256i n[VECTORS];
            for (int v = 0; v < VECTORS; v++) {
                zr[v] = _mm256_loadu_pd(xs + left + 4 * v);
                zi[v] = top;
                n[v] = _mm256_setzero_si256();
            }
            for (int step = 0; step < iterations; step++) {
                __m256d any = _mm256_setzero_pd();
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++) {
                    const __m256d zr2 = _mm256_mul_pd(zr[v], zr[v]), zi2 = _mm256_mul_pd(zi[v], zi[v]);
                    const __m256d inside = _mm256_cmp_pd(_mm256_add_pd(zr2, zi2), four, _CMP_LE_OQ);
                    const __m256d product = _mm256_mul_pd(zr[v], zi[v]);
                    n[v] = _mm256_sub_epi64(n[v], _mm256_castpd_si256(inside));
                    zr[v] = _mm256_add_pd(_mm256_sub_pd(zr2, zi2), cr);
                    zi[v] = _mm256_add_pd(_mm256_add_pd(product, product), ci);
                    any = _mm256_or_pd(any, inside);
                }
                if (!_mm256_movemask_pd(any)) break;
            }
            int64_t counts[LANES];
            for (int v = 0; v < VECTORS; v++) _mm256_storeu_si256((__m256i *)(counts + 4 * v), n[v]);
            for (int lane = 0; lane < LANES && left + lane < width; lane++) {
                int64_t last = counts[lane] < iterations - 1 ? counts[lane] : iterations - 1;
                indices[(long)y * width + left + lane] = (uint8_t)(last % 32);
            }
        }
    }
    free(xs);
}
