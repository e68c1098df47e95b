/* The margin of margin softmax losses, for training steps and for the compiler's reference. */
#ifndef CAMEO_MARGIN_H
#define CAMEO_MARGIN_H
#include <math.h>

/* z = scale * cos(t), the score of the image's class, becomes scale * psi, where psi = cos(m1 t +
   m2) - m3 while m1 t + m2 < pi. Beyond that, with m1 = 1 psi = cos(t) - m2 sin(m2) - m3, as
   InsightFace has it (Deng et al. 2019); otherwise psi goes on falling as SphereFace's does:
   (-1)^k cos(m1 t + m2) - 2k - m3 in the k-th half turn (Liu et al. 2017). *slope is d psi / d
   cos(t); it is 0 where |cos(t)| > 1 - 1e-7, where rounding makes angles meaningless. */
static inline double cameo_margin_score(double scale, double m1, double m2, double m3, double z,
                                        double *slope) {
    const double limit = 1 - 1e-7, raw = z / scale,
                 c = raw > limit    ? limit
                     : raw < -limit ? -limit
                                    : raw;
    const double t = acos(c), phi = m1 * t + m2, half = floor(phi / 3.14159265358979323846);
    *slope = 1;
    if (m1 == 1 && m2 == 0) return scale * (raw - m3);
    if (m1 == 1 && half >= 1) return scale * (raw - m2 * sin(m2) - m3);
    const double sign = fmod(half, 2) == 0 ? 1 : -1;
    *slope = c == raw ? sign * m1 * sin(phi) / sin(t) : 0;
    return scale * (sign * cos(phi) - 2 * half - m3);
}
#endif
