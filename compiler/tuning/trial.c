/* Runs a compiled program as a child with a time limit and reads back what it wrote. See
   trial.h. */
#define _GNU_SOURCE
#include "trial.h"
#include "../../runtime/base/npy.h"
#include "../onnx/onnx.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void compare_float(double x, double y, double rtol, double atol, difference *d) {
    if (x == y || (isnan(x) && isnan(y))) return; /* infinities too */
    if (!isfinite(x) || !isfinite(y)) {           /* of different kinds: no tolerance covers that */
        d->ok = false, d->odd++;
        return;
    }
    const double error = fabs(x - y);
    if (error > rtol * fabs(y) + atol) d->ok = false;
    if (error > d->max_abs) d->max_abs = error;
    if (y != 0 && error / fabs(y) > d->max_rel) d->max_rel = error / fabs(y);
}

void tensor_compare(const tensor *got, const tensor *expected, double rtol, double atol,
                    difference *d) {
    if (!got || got->type != expected->type || !shape_equal(&got->shape, &expected->shape)) {
        d->ok = false;
        return;
    }
    for (int64_t i = 0, n = shape_count(&got->shape); i < n; i++) {
        if (dtype_is_real(got->type)) {
            compare_float(tensor_get(got, i), tensor_get(expected, i), rtol, atol, d);
        } else if (tensor_get_int(got, i) != tensor_get_int(expected, i)) {
            d->ok = false;
            d->max_abs = fmax(d->max_abs, fabs(tensor_get(got, i) - tensor_get(expected, i)));
        }
    }
}

static _Noreturn void child(char *const *argv, const char *log) {
    setpgid(0, 0);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644), null = open("/dev/null", O_RDONLY);
    if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(CAMEO_ENVIRONMENT);
    execvp(argv[0], argv);
    _exit(CAMEO_ENVIRONMENT);
}

static int spawn(char *const *argv, const char *log, unsigned seconds) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) child(argv, log);
    if (pid < 0) return CAMEO_ENVIRONMENT;
    int status = 0;
    struct timespec pause = {.tv_nsec = 2000000};
    for (double waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited += 0.002) {
        if (waited > seconds) {
            kill(-pid, SIGKILL);
            waitpid(pid, &status, 0);
            return 124;
        }
        nanosleep(&pause, NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool trial_write_npy(const char *path, const tensor *t) {
    cameo_array a = {(int)t->type, t->shape.rank, {0}, (size_t)shape_count(&t->shape), t->data};
    for (int i = 0; i < a.rank; i++) a.dim[i] = t->shape.dim[i];
    return cameo_npy_write(path, &a, NULL);
}

static const char *first_line(arena *a, const char *path) {
    char line[400] = "";
    FILE *f = fopen(path, "r");
    if (f && !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) fclose(f);
    line[strcspn(line, "\n")] = 0;
    return arena_strdup(a, line);
}

const char *trial_run(arena *a, const char *program, const char *const *inputs, size_t n_inputs,
                      const char *directory, tensor **results, size_t n_results, unsigned seconds) {
    char **argv = ARENA_ARRAY(a, char *, 2 * n_inputs + 8),
         *log = arena_printf(a, "%s/run.log", directory);
    size_t n = 0;
    argv[n++] = arena_strdup(a, program);
    argv[n++] = arena_strdup(a, "run");
    for (size_t i = 0; i < n_inputs; i++) {
        argv[n++] = arena_strdup(a, "--input");
        argv[n++] = arena_strdup(a, inputs[i]);
    }
    argv[n++] = arena_strdup(a, "--output");
    argv[n++] = arena_strdup(a, directory);
    argv[n++] = arena_strdup(a, "--format");
    argv[n++] = arena_strdup(a, "pb");
    int code = spawn(argv, log, seconds);
    if (code) return arena_put(a, "the program ended with $0: $1", code, first_line(a, log));
    for (size_t i = 0; i < n_results; i++) {
        const char *why = NULL, *name = NULL;
        results[i] = onnx_read_tensor(a, arena_put(a, "$0/output_$1.pb", directory, i), &name,
                                      &why);
        if (!results[i]) return arena_put(a, "output $0: $1", i, why ? why : "not written");
    }
    return NULL;
}
