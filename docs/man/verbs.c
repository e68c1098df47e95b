/* A program without a network, for its help: the manual's lists of verbs and options are what it
   prints. Never installed. */
#include "../../runtime/training/training.h"

static const cameo_model none = {
    .abi = CAMEO_ABI, .name = "net", .version = CAMEO_VERSION, .hash = "", .target = ""};
static const cameo_trainer trainer = {
    .step = &none, .infer = &none, .initial = (const unsigned char *)"", .loss = "ce"};

int main(int argc, char **argv) { return cameo_train_main(&trainer, argc, argv); }
