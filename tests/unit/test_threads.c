/* The pool: every task of every call runs once, whatever the number of threads, and before the
   call returns. */
#include "runtime/core/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 100 };

typedef struct call {
    atomic_int times[MOST];
    unsigned slow; /* microseconds of its first task: the others of its share are taken by another
                      thread */
} call;

static void task(void *argument, size_t i) {
    call *c = argument;
    if (c->slow && i == 0) usleep(c->slow);
    atomic_fetch_add(&c->times[i], 1);
}

static void check(call *c, size_t n) {
    for (size_t i = 0; i < MOST; i++) assert_int_equal(atomic_load(&c->times[i]), i < n);
    memset(c, 0, sizeof *c);
}

static void every_task_runs_once(void **state) {
    (void)state;
    uint32_t seed = 7;
    for (int threads = 2; threads <= 6; threads++) {
        cameo_pool *p = cameo_pool_create(threads);
        assert_non_null(p);
        call c = {0};
        for (int k = 0; k < 800; k++) {
            const size_t n = (seed = seed * 1664525u + 1013904223u) >> 16;
            p->run(p, n % (MOST + 1), task, &c);
            check(&c, n % (MOST + 1));
            if (k % 200 == 199) usleep(20000); /* the workers sleep */
        }
        p->destroy(p);
    }
}

static void slow_tasks_hold_nobody_up(void **state) {
    (void)state;
    cameo_pool *p = cameo_pool_create(3);
    call c = {0};
    for (int k = 0; k < 20; k++) {
        c.slow = 2000;
        p->run(p, MOST, task, &c);
        c.slow = 0;
        check(&c, MOST);
    }
    p->destroy(p);
}

static void pools_come_and_go(void **state) {
    (void)state;
    for (int k = 0; k < 200; k++) {
        cameo_pool *p = cameo_pool_create(4);
        call c = {0};
        assert_non_null(p);
        if (k % 2) p->run(p, 9, task, &c), check(&c, 9);
        p->destroy(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_task_runs_once),
                                       cmocka_unit_test(slow_tasks_hold_nobody_up),
                                       cmocka_unit_test(pools_come_and_go)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
