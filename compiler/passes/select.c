/* The select pass gives each node an implementation: of those that apply to the node and that
   --kernels allows it takes the cheapest, and where there is none the node keeps its row's plain
   loops. Under --tune it takes the fastest by measurement. Under --kernels xnnpack a native kernel
   serves only where XNNPACK has nothing; under auto with --static XNNPACK is left out, since
   distributions have it as a shared library only. */
#include "../ir/graph_query.h"
#include "../ir/implementation.h"
#include "passes.h"
#include "plan.h"

static bool allowed(const implementation *k, const options *o) {
    if (o->kernels == KERNELS_PLAIN) return false;
    return !k->xnnpack || o->kernels == KERNELS_XNNPACK ||
           (o->kernels == KERNELS_AUTO && !o->is_static);
}

/* Every parameter that the node reads, or whose gradient it writes, stands in an order that the
   kernel knows. */
static bool knows_orders(const implementation *k, const node *n, const options *o) {
    for (size_t i = 0; i < n->n_in + n->n_out; i++) {
        const value *v = node_value(n, i);
        if (!v || v->role == ROLE_NONE || v->param->layout == PARAMETER_ONNX) continue;
        if (!k->takes || !k->takes(n, v->param, v->param->layout, o)) return false;
    }
    return true;
}

static bool fits(const implementation *k, const node *n, const options *o) {
    return k->op == n->opcode && allowed(k, o) && knows_orders(k, n, o) && k->applies(n, o);
}

typedef struct candidate {
    const implementation *kernel;
    double cost;
} candidate;

static bool better(const candidate *a, const candidate *b, const options *o) {
    if (o->kernels == KERNELS_XNNPACK && a->kernel->xnnpack != b->kernel->xnnpack)
        return a->kernel->xnnpack;
    return a->cost < b->cost;
}

enum { CANDIDATES_MOST = 16 };

/* Those that fit, cheapest first; of equal ones the first of the list of implementations. Costs
   are those of one image: the choice, and with it the bits of an image's result, must not depend
   on the batch. */
static size_t candidates_of(const node *n, const options *o, candidate *list) {
    arena *a = arena_create();
    const node *asked = node_is_batched(n) ? node_of_images(a, n, 1) : n;
    size_t count = 0;
    for (const implementation *const *k = implementations; *k; k++) {
        if (!fits(*k, n, o)) continue;
        if (count == CANDIDATES_MOST)
            BUG("%s has more than %d kernels", n->op->name, CANDIDATES_MOST);
        const candidate c = {*k, (*k)->cost ? (*k)->cost(asked, o) : 0};
        size_t at = count++;
        for (; at > 0 && better(&c, &list[at - 1], o); at--) list[at] = list[at - 1];
        list[at] = c;
    }
    arena_destroy(a);
    return count;
}

static const implementation *choose(const node *n, const options *o) {
    candidate list[CANDIDATES_MOST];
    const implementation *kernels[CANDIDATES_MOST];
    size_t count = candidates_of(n, o, list);
    if (!count) return NULL;
    while (o->kernels == KERNELS_XNNPACK &&
           list[count - 1].kernel->xnnpack != list[0].kernel->xnnpack)
        count--;
    for (size_t i = 0; i < count; i++) kernels[i] = list[i].kernel;
    return o->chooser ? o->chooser->choose(o->chooser, n, kernels, count) : kernels[0];
}

bool pass_select(graph *g, const options *o) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        node *n = g->nodes[i];
        if (n->dead || !n->op || node_is_view(n)) continue;
        n->impl = choose(n, o);
    }
    return true;
}
