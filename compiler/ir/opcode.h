/* Operators by number. A node's name is looked up once, when the node is made (op.c); everything
   behind that compares numbers. */
#ifndef CAMEO_OPCODE_H
#define CAMEO_OPCODE_H

typedef enum opcode {
    OPCODE_NONE, /* of a file's node that is none of ours */
#define ONNX(name) ONNX_##name,
#define CAMEO(name) CAMEO_##name,
#define MICROSOFT(name) MICROSOFT_##name,
#define ACT_OPERATOR(flags, function, ...) ONNX_##function, CAMEO_##function##Grad,
#include "../../runtime/kernels/act.def"
#include "opcode.def"
#undef ONNX
#undef CAMEO
#undef MICROSOFT
    OPCODES
} opcode;

opcode opcode_find(const char *domain, const char *name); /* OPCODE_NONE when there is no such
                                                             operator */
const char *opcode_name(opcode op);                       /* "" of OPCODE_NONE */
const char *opcode_domain(opcode op);
#endif
