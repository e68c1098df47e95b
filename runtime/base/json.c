/* JSON output after RFC 8259. */
#include "json.h"
#include <math.h>

int cameo_utf8_length(const unsigned char *s) {
    if (*s < 0x80) return 1;
    int n = *s >= 0xC2 && *s < 0xE0   ? 2
            : *s >= 0xE0 && *s < 0xF0 ? 3
            : *s >= 0xF0 && *s < 0xF5 ? 4
                                      : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((*s == 0xE0 && s[1] < 0xA0) || (*s == 0xED && s[1] > 0x9F) || (*s == 0xF0 && s[1] < 0x90) ||
        (*s == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

static void put_string(FILE *f, const char *text) {
    fputc('"', f);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = cameo_utf8_length(s);
        if (n == 0)
            fputs("\\ufffd", f);
        else if (*s == '"' || *s == '\\')
            fprintf(f, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7F)
            fprintf(f, "\\u%04x", *s);
        else
            fwrite(s, 1, (size_t)n, f);
        s += n ? n : 1;
    }
    fputc('"', f);
}

static void begin(cameo_json *j, const char *key) {
    if (j->comma) fputs(j->compact ? "," : ", ", j->stream);
    j->comma = true;
    if (!key) return;
    put_string(j->stream, key);
    fputs(j->compact ? ":" : ": ", j->stream);
}

void cameo_json_open(cameo_json *j, const char *key, char open) {
    begin(j, key);
    fputc(open, j->stream);
    j->comma = false;
}

void cameo_json_close(cameo_json *j, char close) {
    fputc(close, j->stream);
    j->comma = true;
}

void cameo_json_text(cameo_json *j, const char *key, const char *value) {
    begin(j, key);
    if (value)
        put_string(j->stream, value);
    else
        fputs("null", j->stream);
}

void cameo_json_number(cameo_json *j, const char *key, double value) {
    begin(j, key);
    if (isfinite(value))
        fprintf(j->stream, "%.9g", value);
    else
        fputs("null", j->stream);
}

void cameo_json_integer(cameo_json *j, const char *key, int64_t value) {
    begin(j, key);
    fprintf(j->stream, "%lld", (long long)value);
}

void cameo_json_count(cameo_json *j, const char *key, uint64_t value) {
    begin(j, key);
    fprintf(j->stream, "%llu", (unsigned long long)value);
}

void cameo_json_boolean(cameo_json *j, const char *key, bool value) {
    begin(j, key);
    fputs(value ? "true" : "false", j->stream);
}
