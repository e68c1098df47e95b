/* Processor levels, asked of the machine before the first vector instruction runs: a message
   rather than an illegal instruction. The levels are those of the x86-64 psABI; of their features
   we ask for the ones both GCC and Clang can name. */
#include "processor.h"

#include <string.h>

#if defined(__x86_64__)
static bool level2(const char **lacks) {
    if (!__builtin_cpu_supports("ssse3")) return *lacks = "SSSE3", false;
    if (!__builtin_cpu_supports("sse4.2")) return *lacks = "SSE4.2", false;
    if (!__builtin_cpu_supports("popcnt")) return *lacks = "POPCNT", false;
    return true;
}

static bool level3(const char **lacks) {
    if (!level2(lacks)) return false;
    if (!__builtin_cpu_supports("avx2")) return *lacks = "AVX2", false;
    if (!__builtin_cpu_supports("fma")) return *lacks = "FMA", false;
    if (!__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
        return *lacks = "BMI", false;
    return true;
}

static bool level4(const char **lacks) {
    if (!level3(lacks)) return false;
    if (!__builtin_cpu_supports("avx512f")) return *lacks = "AVX-512F", false;
    if (!__builtin_cpu_supports("avx512bw")) return *lacks = "AVX-512BW", false;
    if (!__builtin_cpu_supports("avx512dq")) return *lacks = "AVX-512DQ", false;
    if (!__builtin_cpu_supports("avx512vl")) return *lacks = "AVX-512VL", false;
    return true;
}

static bool level_runs(const char *target, const char **lacks) {
    __builtin_cpu_init();
    if (strcmp(target, "x86-64-v2") == 0) return level2(lacks);
    if (strcmp(target, "x86-64-v3") == 0) return level3(lacks);
    if (strcmp(target, "x86-64-v4") == 0) return level4(lacks);
    return true;
}
static const char family[] = "x86-64";
#else
static bool level_runs(const char *target, const char **lacks) {
    return (void)target, (void)lacks, true;
}
#if defined(__aarch64__)
static const char family[] = "aarch64";
#else
static const char family[] = "none";
#endif
#endif

static const char *family_of(const char *target) {
    return strncmp(target, "x86-64", 6) == 0 ? "x86-64"
           : strcmp(target, "aarch64") == 0  ? "aarch64"
                                             : NULL;
}

bool cameo_target_runs(const char *target, const char **lacks) {
    const char *wanted = family_of(target);
    if (wanted && strcmp(wanted, family) != 0)
        return *lacks = *wanted == 'x' ? "x86-64 instructions" : "AArch64 instructions", false;
    return level_runs(target, lacks);
}
