/* The list of implementations the select pass chooses from. */
#include "kernels.h"

const implementation *const implementations[] = {
#define KERNEL(name) &name,
#include "kernels.def"
    NULL};

bool kernel_takes_parameter(const node *n, const parameter *p, parameter_layout order,
                            const options *o) {
    for (const implementation *const *k = implementations; *k; k++)
        if ((*k)->takes && (*k)->op == n->opcode && (*k)->takes(n, p, order, o)) return true;
    return false;
}

/* Two vectors where there are channels for them: the register tile of most convolutions. */
int64_t kernel_parameter_block(const parameter *p, parameter_layout order, const options *o) {
    const int64_t vf = o->target.vector_floats;
    return order == PARAMETER_CONV && p->initial->shape.dim[0] > vf ? 2 * vf : vf;
}
