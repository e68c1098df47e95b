/* NCHW <-> NHWC copies (runtime/kernels/reorder.h). */
#include "kernels.h"

static bool is_image(const value *v) {
    return v && v->type == DT_FLOAT && v->shape.rank == 4 && !v->constant && value_count(v) > 0 &&
           (v->layout == LAYOUT_NHWC || !v->pixel_stride);
}

static bool applies(const node *n, const options *o) {
    (void)o;
    return is_internal(n) && is_image(n->in[0]) && is_image(n->out[0]) &&
           n->in[0]->layout != n->out[0]->layout;
}

static double cost(const node *n, const options *o) {
    (void)o;
    return 1 + (double)value_count(n->out[0]) / 1500;
}

static void emit(emitter *e, const node *n) {
    const bool to_nhwc = n->out[0]->layout == LAYOUT_NHWC;
    const image x = image_of(n->in[0]), y = image_of(n->out[0]);
    emit_value(e, "x", n->in[0], false);
    emit_value(e, "y", n->out[0], true);
    emit_cameo_reorder(e, "_shape", &(cameo_reorder){x.c, x.h * x.w, x.pixel, y.pixel});
    emit_task(e, "task", to_nhwc ? "cameo_to_nhwc_task" : "cameo_to_nchw_task");
    body_put(e,
             "    cameo_reorder_args a = {x, y};\n"
             "    cameo_parallel(c, (size_t)$0 * (size_t)cameo_reorder_tasks(&$F_shape), $F_task, "
             "&a);\n",
             images_of(e, n));
}

const implementation reorder = {.name = "reorder", .op = CAMEO_Reorder, OF_FILE};
