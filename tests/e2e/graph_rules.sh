#!/usr/bin/env bash
# Rules about the compiler's source that a reader can count on (docs/architecture.md), checked by
# what the text says. Each breach is printed with its file and line.
. "$(dirname "$0")/common.bash"
cd "$SOURCE"
fail() { echo "FAIL: $*"; exit 1; }
command -v perl >/dev/null || skip "no perl"
sources() { ls compiler/*.[ch] compiler/*/*.[ch]; }
breaches=0
# RULE CALLED ARGUMENTS FILE...: no call, over however many lines, of what CALLED matches has
# arguments that ARGUMENTS matches.
never_called() {
  local rule=$1 called=$2 arguments=$3
  shift 3
  report "$rule" "$(CALLED=$called ARGUMENTS=$arguments perl -0777 -ne '
      s{(/\*.*?\*/)}{$1 =~ tr/\n//cdr}ges;
      while (/\b(?:$ENV{CALLED})\s*(\((?:[^()"]++|"(?:\\.|[^"\\])*+"|(?1))*+\))/g) {
        my ($at, $call, $inside) = ($-[0], $&, $1);
        pos = $-[1] + 1;
        next unless $inside =~ /$ENV{ARGUMENTS}/;
        $call =~ s/\s+/ /g;
        printf "%s:%d: %s\n", $ARGV, 1 + (substr($_, 0, $at) =~ tr/\n//), $call;
      }' "$@")"
}
# RULE PATTERN FILE...: no line matches.
never() {
  local rule=$1 pattern=$2
  shift 2
  report "$rule" "$(grep -nE -- "$pattern" "$@" /dev/null)"
}
report() { [ -z "$2" ] || { echo "$1:"; echo "$2"; breaches=1; }; }

# ---- operators are compared by number ----
names=$(sed -nE 's/^(ONNX|CAMEO|MICROSOFT)\((.*)\)$/\2/p' compiler/ir/opcode.def
  sed -nE 's/.*\b([A-Z]\w+), [0-9]+, "test_.*/\1\n\1Grad/p' runtime/kernels/act.def)
for name in Conv ConvWeightGrad Relu ReluGrad; do
  grep -qx "$name" <<<"$names" || fail "operators such as $name are not found"
done
names=$(paste -sd'|' <<<"$names")
comparing='\w*(?:cmp|equal|same|strstr|starts_with|ends_with|listed)\w*|is_\w+|\w*_is|\w*_is_\w+'
by_number() {
  never_called "an operator's name is compared as text" "$comparing" \
    '\b(?:op_type|opcode_name|op->name)\b' "$@"
  never_called "something is compared with the name of an operator" "$comparing" \
    "\"(?:$names)\"" "$@"
  never "an operator is told by a letter of its name" '(op_type|op->name) *\[' "$@"
}
mapfile -t inside < <(sources | grep -vE '^compiler/(onnx/.*|ir/(op|resolve))\.c$')
by_number "${inside[@]}"

# ---- inputs, outputs and producers are changed by the graph's own functions (elements: the type
# says so, value *const *) ----
changed_by_graph() {
  local set='(->in|\bn->out|->producer|->uses|->n_uses|->dead) *=[^=]'
  local counted='->n_(in|out) *([-+]=|=[^=]|--|\+\+)'
  never "an input, an output or a producer is written" "$set|$counted" "$@"
}
mapfile -t changing < <(ls compiler/{passes,ops,kernels,emit}/*.c \
  compiler/ir/{copy,grad,graph_query,resolve}.c)
changed_by_graph "${changing[@]}"

# ---- a pass asks the graph, not emission (that no room includes one above it, scripts/check-layers
# sees) ----
never "a pass includes emission" '#include *"(\.\./)*emit/' compiler/passes/*.[ch]

# ---- the rules find what they are there for ----
cat >"$scratch/bad.c" <<'END'
static bool a(const node *n) { return !strcmp(n->op_type, "Convolution"); }
/* strcmp(n->op_type, "Conv") */
static bool b(const node *n) { return is_op(before(n),
                                            "Softmax"); }
static bool c(const node *n) { return n->op_type[0] == 'U'; }
static bool d(const char *name) { return other && strcmp(spelled(name), "Conv"); }
void e(node *n, value *v) { n->in = v; }
void f(node *n, value *v) { if (n->in[0] == v) n->n_in -= 1; }
void g(node *n) { n->dead = n->in[0] == n->in[1]; }
void h(node *n) { if (n->n_in == 1 || n->producer == NULL || n->in[0] == NULL) BUG("no"); }
END
found=$(by_number "$scratch/bad.c"; changed_by_graph "$scratch/bad.c")
for line in 1 3 5 6 7 8 9; do
  grep -q "bad.c:$line:" <<<"$found" || fail "the rules do not find line $line: $found"
done
! grep -q "bad.c:2:" <<<"$found" || fail "a comment is taken for code"
! grep -q "bad.c:10:" <<<"$found" || fail "a comparison is taken for a change"

[ $breaches = 0 ] || fail "see above"
echo "ok"
