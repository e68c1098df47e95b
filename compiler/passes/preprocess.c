/* Whether the preprocessing fits the network: the runtime's own parser reads --preprocess, or the
   model's metadata, before a program is made that would refuse it. */
#include "../../runtime/image/preprocess.h"

#include <string.h>

#include "../ir/graph_query.h"
#include "front.h"

static cameo_tensor_info describe(const value *v) {
    cameo_tensor_info t = {.name = v->name, .dtype = (int)v->type, .rank = v->shape.rank};
    for (int i = 0; i < v->shape.rank; i++) t.dim[i] = v->shape.dim[i];
    return t;
}

/* A network of several inputs takes no pictures, so nothing would read the text. */
bool pass_preprocess(graph *g, const options *o) {
    if (o->train && g->n_inputs == 1 && g->inputs[0]->type == DT_UINT8)
        return diag_error(
            g->diag, NULL,
            "take the Cast away and let the input be float32; --preprocess converts the pixels",
            "input \"%s\" is uint8; training augments pictures as float32", g->inputs[0]->name);
    const char *spec = options_preprocess(o, g);
    if (!spec || g->n_inputs != 1) return true;
    cameo_preprocess p;
    cameo_error error = {0};
    const cameo_tensor_info input = describe(g->inputs[0]);
    if (cameo_preprocess_parse(spec, &input, &p, &error)) return true;
    const bool of_text = strncmp(error.message, "preprocess:", 11) == 0; /* else of the input */
    const char *why = arena_escape(g->arena, error.message);             /* it quotes the file */
    if (o->preprocess) return node_error(g, NULL, "%s%s", of_text ? "--" : "", why);
    diag_warn(g->diag, NULL, "give another with --preprocess", "%s%s",
              of_text ? "metadata cameo." : "", why);
    return true;
}
