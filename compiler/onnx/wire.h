/* The bytes of an ONNX file before protobuf-c sees them: is it ONNX at all, is it whole, is it
   harmless. protobuf-c has no depth limit, holds counts in an unsigned and forgets the length of
   strings; all that is checked here.

   Messages (`why`) are allocated in the arena given. */
#ifndef CAMEO_ONNX_WIRE_H
#define CAMEO_ONNX_WIRE_H
#include <protobuf-c/protobuf-c.h>

#include "../../runtime/base/wire.h"
#include "../base/arena.h"

/* Reads a whole regular file of less than 2 GiB into the arena. false with *why. A file that can't
   be ONNX by its first bytes isn't read. */
bool wire_read_file(arena *a, const char *path, cameo_wire *out, const char **why);
/* Scan and unpack within the budget. NULL with *why. Free with wire_free. */
ProtobufCMessage *wire_unpack(arena *a, const ProtobufCMessageDescriptor *type,
                              const unsigned char *data, size_t size, const char **why);
void wire_free(ProtobufCMessage *m);
#endif
