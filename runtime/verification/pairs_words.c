/* Words that lists of pairs are full of: labels and headings. Headings are compared without case,
   blanks, `_`, `-` and `.`. */
#include "pairs_words.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_among(const char *word, const char *const *words) {
    for (; *words; words++)
        if (strcasecmp(word, *words) == 0) return true;
    return false;
}

cameo_label cameo_label_of(const char *text) {
    static const char *const same[] = {"true",    "t",      "yes",     "y",         "same",
                                       "genuine", "match",  "matched", "positive",  "pos",
                                       "mated",   "intra",  "target",  "identical", "similar",
                                       "equal",   "client", "gen",     "kin",       NULL};
    static const char *const different[] = {
        "false",    "f",         "no",        "n",          "different", "diff",       "impostor",
        "imposter", "mismatch",  "nonmatch",  "no-match",   "unmatch",   "unmatched",  "mismatched",
        "notmatch", "non-match", "non_match", "negative",   "neg",       "nonmated",   "non-mated",
        "inter",    "extra",     "nontarget", "non-target", "distinct",  "dissimilar", "unequal",
        "not-same", "notsame",   "not_same",  "imp",        "nonkin",    "non-kin",    NULL};
    char *end;
    if (is_among(text, same)) return CAMEO_LABEL_SAME;
    if (is_among(text, different)) return CAMEO_LABEL_DIFFERENT;
    if (!*text || text[strspn(text, "+-.0123456789eE")]) return CAMEO_LABEL_NONE;
    const double value = strtod(text, &end);
    if (*end || end == text) return CAMEO_LABEL_NONE;
    return value == 1    ? CAMEO_LABEL_SAME
           : value == 0  ? CAMEO_LABEL_ZERO
           : value == -1 ? CAMEO_LABEL_MINUS
                         : CAMEO_LABEL_NONE;
}

/* Into out[64]; longer words become "". */
static void normalise(const char *word, char out[64]) {
    size_t n = 0;
    for (; *word; word++) {
        if (strchr(" _-.?#:()", *word)) continue;
        if (n == 63) break;
        out[n++] = (char)((unsigned char)*word < 0x80 ? tolower((unsigned char)*word) : *word);
    }
    out[*word ? 0 : n] = 0;
}

/* Stems before 1 and 2, or a and b; those that mean a file come before those that may mean a
   person. */
static const char *const stems[] = {
    "path",      "imgpath",     "imagepath", "filepath", "file",    "filename", "fname",  "imgname",
    "imagename", "image",       "img",       "im",       "picture", "pic",      "photo",  "face",
    "p",         "sample",      "template",  "bild",     "datei",   "foto",     "imagen", "imagem",
    "fichier",   "archivo",     "img_",      "图片",     "图像",    "照片",     "画像",   "写真",
    "фото",      "изображение", "이미지",    "사진",     "name",    NULL};

/* 1 + the place among the stems when the word is a stem with this ending; 0: it is none. */
static int stem_of(const char *word, char ending) {
    const size_t n = strlen(word);
    if (n < 2 || word[n - 1] != ending) return 0;
    for (int i = 0; stems[i]; i++)
        if (strlen(stems[i]) == n - 1 && strncmp(word, stems[i], n - 1) == 0) return i + 1;
    return 0;
}

/* The column whose heading is the best stem with this ending. */
static int by_stem(char *const *field, int count, char ending) {
    int best = -1, rank = 0;
    for (int i = 0; i < count; i++) {
        char word[64];
        normalise(field[i], word);
        const int stem = stem_of(word, ending);
        if (stem && (!rank || stem < rank)) best = i, rank = stem;
    }
    return best;
}

static int by_word(char *const *field, int count, const char *const *words) {
    for (const char *const *w = words; *w; w++)
        for (int i = 0; i < count; i++) {
            char word[64];
            normalise(field[i], word);
            if (strcmp(word, *w) == 0) return i;
        }
    return -1;
}

int cameo_label_column(char *const *field, int count) {
    static const char *const words[] = {"label",       "gt",         "labels",       "match",
                                        "same",        "issame",     "ismatch",      "target",
                                        "groundtruth", "sameperson", "issameperson", "genuine",
                                        "isgenuine",   "samepair",   "pairlabel",    "truth",
                                        "y",           "class",      "actual",       "gleich",
                                        "etiqueta",    "étiquette",  "etichetta",    "标签",
                                        "ラベル",      "метка",      "라벨",         NULL};
    return by_word(field, count, words);
}

bool cameo_name_columns(char *const *field, int count, int column[2], bool *certain) {
    static const char *const first[] = {"first",     "left",  "a",      "x", "enroll",
                                        "reference", "query", "anchor", NULL};
    static const char *const second[] = {"second", "right",   "b",     "y", "test",
                                         "probe",  "gallery", "other", NULL};
    static const char endings[][2] = {{'1', '2'}, {'a', 'b'}, {'0', '1'}};
    *certain = true;
    for (int k = 0; k < 3; k++) {
        column[0] = by_stem(field, count, endings[k][0]);
        column[1] = by_stem(field, count, endings[k][1]);
        if (column[0] >= 0 && column[1] >= 0) return true;
    }
    *certain = false;
    column[0] = by_word(field, count, first);
    column[1] = by_word(field, count, second);
    return column[0] >= 0 && column[1] >= 0;
}
