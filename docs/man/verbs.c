/* A program without a network, for its help: the manual's lists of verbs and options are what it prints. Never installed. */
#include "cameo.h"

static const cameo_model none = {.abi = CAMEO_ABI, .name = "net", .version = CAMEO_VERSION, .hash = "", .target = ""};

int main(int argc, char **argv) { return cameo_main(&none, argc, argv); }
