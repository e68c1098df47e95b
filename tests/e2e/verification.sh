#!/usr/bin/env bash
# Verification from end to end on a made-up tree of each data set family: read, scored, submitted;
# then the cache, stored embeddings, missing pictures, findings, operating points, identification,
# comparison of runs.
. "$(dirname "$0")/common.bash"
cd "$scratch"
exec 3>&1 >log # what the runs print
"$CAMEO" new mobilenet-v1 --width 0.25 --input 3x32x32 --classes 7 -o net.onnx
"$CAMEO" compile net.onnx --kernels plain --preprocess "color=rgb mean=127.5 scale=1/128" -o net
status=0
fail() { echo "FAIL $*" >&3; status=1; }
picture() { # FILE SEED: 32 x 32; the decoder goes by the content, not by the name
  mkdir -p "$(dirname "$1")"
  awk -v s="$2" 'BEGIN {
    print "P3\n32 32\n255"
    for (i = 0; i < 3072; i++) {
      s = (s * 1103515245 + 12345) % 2147483648
      printf "%d\n", s / 8388608
    }
  }' >"$1"
}
same() { cmp -s "$1" "$2" || { fail "$3"; { diff "$1" "$2" || true; } | head -5 >&3; }; }
# RUN: in the list's order
cosines() { tail -n +2 "$1/scores.csv" | sed 's/.*,\([^,]*\),[^,]*$/\1/'; }

# S19: names relative to validation_verification/ and test_verification/; Windows line ends do no
# harm
pairs19=s19/validation_trials_verification.txt trials19=s19/test_trials_verification_student.txt
for p in 1 2 3 4; do
  picture s19/validation_verification/$p.jpg $p
  picture s19/test_verification/$p.jpg 5$p
done
printf '1.jpg 2.jpg 1\r\n1.jpg 3.jpg 0\r\n2.jpg 3.jpg 0\r\n3.jpg 4.jpg 1\r\n' >$pairs19
printf '1.jpg 2.jpg\n4.jpg 1.jpg\n1.jpg 2.jpg\n' >$trials19
./net score $pairs19 --root s19 -o s19v 2>err || fail "s19 validation"
grep -q 'family s19' err || fail "s19 is not recognised"
[ "$(number s19v auc)" ] && [ -s s19v/report.html ] && [ -s s19v/roc.csv ] ||
  fail "s19 validation has no metrics"
./net score $trials19 --root s19 --submission auto -o s19t 2>err ||
  fail "s19 test"
{ echo "trial,score"; paste -d, $trials19 <(cosines s19t); } >want
same want s19t/submission.csv "s19 submission"

# F20: names relative to the root of the data set
for p in A B C; do picture f20/verification_data/$p.jpg $((100 + $(printf %d "'$p"))); done
printf 'verification_data/%s.jpg verification_data/%s.jpg\n' A B B C \
  >f20/verification_pairs_test.txt
# No --root: beside the list.
./net score f20/verification_pairs_test.txt --submission f20 -o f20t 2>err || fail "f20"
{ echo "Id,Category"; paste -d, f20/verification_pairs_test.txt <(cosines f20t); } >want
same want f20t/submission.csv "f20 submission"

# S22: headings; base names under verification/verification/{dev,test}, where the same names are
# other pictures
for p in 000000 000001 000002; do
  picture s22/verification/verification/dev/$p.jpg 1${p#00000}
  picture s22/verification/verification/test/$p.jpg 2${p#00000}
done
{
  echo p1,p2,gt
  printf '00000%d.jpg,00000%d.jpg,%d\n' 0 1 1 1 2 0 0 2 0
} >s22/verification_dev.csv
printf 'p1,p2\nver/000000.jpg,ver/000001.jpg\n000001.jpg,000002.jpg\n' >s22/verification_test.csv
./net score s22/verification_dev.csv --root s22 -o s22d 2>err && grep -q 'verification/dev' err ||
  fail "s22 dev"
./net score s22/verification_test.csv --root s22 --submission s22 -o s22t 2>err &&
  grep -q 'verification/test' err || fail "s22 test"
{ echo "id,match"; cosines s22t | awk '{ print NR - 1 "," $0 }'; } >want
same want s22t/submission.csv "s22 submission"
[ "$(cosines s22d | head -1)" != "$(cosines s22t | head -1)" ] ||
  fail "s22 took the other split's pictures"

# F24: relative to ver_data/
for p in x y z; do picture f24/ver_data/$p.jpg $((300 + $(printf %d "'$p"))); done
printf 'x.jpg y.jpg\ny.jpg z.jpg\nx.jpg z.jpg\n' >f24/test_pairs.txt
./net score f24/test_pairs.txt --root f24 --submission auto -o f24t 2>err || fail "f24"
{ echo "ID,Label"; cosines f24t | awk '{ print NR - 1 "," $0 }'; } >want
same want f24t/submission.csv "f24 submission"

# LFW: folds
for n in Al Bo; do
  for i in 1 2 3; do picture lfw/$n/${n}_000$i.jpg "$i$(printf %d "'$n")"; done
done
printf '2\t1\nAl\t1\t2\nAl\t1\tBo\t1\nBo\t1\t3\nAl\t2\tBo\t2\n' >lfw/pairs.txt
./net score lfw/pairs.txt -o lfwr 2>err && [ "$(number lfwr folds)" ] &&
  grep -q '"folds": 2' lfwr/metrics.json || fail "lfw"

# F22 - S24: identification; a known picture is among the unknown, so its identity is found with
# cosine 1
for p in n000001/a n000001/b n000002/a; do
  picture f22/known/$p.jpg $((400 + $(printf %d "'${p#*/}") + 50 * ${p:6:1}))
done
cp f22/known/n000002/a.jpg "$scratch/known.jpg"
mkdir -p f22/unknown_dev
cp known.jpg f22/unknown_dev/0.jpg
picture f22/unknown_dev/1.jpg 999
printf 'id,label\n0,n000002\n1,n000000\n' >f22/dev_identities.csv
identify22=(./net identify f22/known f22/unknown_dev --truth f22/dev_identities.csv)
"${identify22[@]}" --threshold 0.9999 --submission f22 -o f22r >out 2>err || fail "identify"
printf 'id,label\n0,n000002\n1,n000000\n' >want
same want f22r/submission.csv "f22 submission"
grep -q 'accuracy *100' out || fail "identify: accuracy"
"${identify22[@]}" --json >out 2>err && grep -q '"accuracy": 1,' out ||
  fail "identify: best threshold"

# classification, by name and by index; the order is the list's
printf '3.jpg\n1.jpg\n' >order.txt; printf 'a\nb\nc\nd\ne\nf\ng\n' >labels
classify19=(./net classify --list order.txt --root s19/test_verification)
"${classify19[@]}" --labels labels --submission s19 -o s19c.csv
"${classify19[@]}" --submission s22 -o s22c.csv
[ "$(head -1 s19c.csv)" = Id,Category ] &&
  [ "$(sed -n 's/,.*//;2,3p' s19c.csv | tr '\n' ' ')" = "3.jpg 1.jpg " ] || fail "s19 classes"
by_index=$(sed 1d s22c.csv | tr 0-6 a-g | sed 's/.*,//')
[ "$(head -1 s22c.csv)" = id,label ] && [ "$by_index" = "$(sed 1d s19c.csv | sed 's/.*,//')" ] ||
  fail "s22 classes"

# the cache: a second run embeds nothing; a record cut short (a killed run) is done again, and only
# that
run="./net score $pairs19 --root s19 --cache kept"
$run -o c1 2>err; $run -o c2 2>err
[ "$(number c1 embedded) $(number c2 embedded) $(number c2 cached)" = "4 0 4" ] ||
  fail "cache: $(number c1 embedded) $(number c2 embedded)"
truncate -s -5 kept/*.embeddings; $run -o c3 2>err
[ "$(number c3 embedded)" = 1 ] || fail "a cut record"
same c1/scores.csv c3/scores.csv "cached scores"
$run --tta flip-sum -o c4 2>err
[ "$(number c4 embedded)" = 4 ] && ! cmp -s c1/scores.csv c4/scores.csv || fail "flip-sum"

code=0; $run --cache-mb 0 -o c5 2>err || code=$?
[ $code = 2 ] && grep -q 'cache-mb 0' err || fail "--cache-mb 0"
$run --cache-mb 1 -o c5 2>err && [ "$(number c5 cached)" = 4 ] || fail "--cache-mb 1"

# scoring from embeddings alone
./net score $pairs19 --root s19 --save-embeddings -o e1 2>err
./net score $pairs19 --embeddings e1/embeddings.npy --names e1/images.txt -o e2 2>err ||
  fail "stored embeddings"
same e1/scores.csv e2/scores.csv "scores of stored embeddings"

# a missing picture and an unreadable one: named, an error, or with --skip-missing rows without a
# score, none dropped
cp -r s19/test_verification broken; : >broken/2.jpg; rm broken/4.jpg
code=0; ./net score $trials19 --root broken -o b1 2>err || code=$?
[ $code = 1 ] && grep -q '4.jpg' err && grep -q '2.jpg' err && [ ! -e b1 ] ||
  fail "missing pictures: exit $code"
printf '1.jpg 2.jpg\n4.jpg 1.jpg\n1.jpg 3.jpg\n' >three.txt
./net score three.txt --root broken --skip-missing --submission s19 -o b2 2>err ||
  fail "--skip-missing"
scored=$(sed -n '4s/[^,]*,[^,]*,,//p' b2/scores.csv)
[ "$(sed 1d b2/scores.csv | cut -d, -f3-)" = "$(printf ',,\n,,\n,%s' "$scored")" ] ||
  fail "rows of missing pictures"
[ "$(wc -l <b2/submission.csv)" = 4 ] && ! grep -q nan b2/submission.csv ||
  fail "a submission dropped rows"

# findings: one content under two names, an identity of the training folder
cp lfw/Al/Al_0001.jpg lfw/Bo/Bo_0003.jpg; picture train/Bo/1.jpg 77
./net score lfw/pairs.txt --train-dir train 2>err >out
grep -q 'content of another.*Al_0001.jpg = Bo/Bo_0003.jpg' err || fail "duplicates"
grep -q 'training folder.*Bo' err || fail "overlap"

# operating points: beside the program; in the model, through compile; another model's is refused
./net verify known.jpg known.jpg >out 2>err && grep -q 'no threshold' out ||
  fail "verify without a threshold"
./net calibrate $pairs19 --root s19 --by accuracy --data mine >out 2>err ||
  { fail calibrate; cat err; }
[ -s net.calibration.json ] && ./net verify known.jpg known.jpg >out &&
  grep -q 'accuracy on mine.*same person' out || fail "verify with a threshold"
./net calibrate $pairs19 --root s19 --by eer --into net.onnx -o with.onnx >out 2>err ||
  fail "--into"
"$CAMEO" compile with.onnx --kernels plain --preprocess "color=rgb mean=127.5 scale=1/128" -o with
./with verify known.jpg known.jpg >out && grep -q 'from the model' out ||
  fail "an embedded threshold"
cp net.calibration.json with.calibration.json
code=0; ./with verify known.jpg known.jpg >out 2>err || code=$?
[ $code = 1 ] && grep -q 'another model' err || fail "another model's threshold"
code=0; ./net calibrate $pairs19 --root s19 --by fpr=0.001 >out 2>err || code=$?
[ $code = 1 ] && grep -q 'longer list' err || fail "a rate that can not be resolved"

# names without an ending, names with blanks and commas, labels of other kinds: every line is a pair
for p in n1/0001 n1/0002 n2/0001 n2/0002; do picture odd/$p.jpg 7${p//[!0-9]/}; done
for p in "Ann Lee/p1" "Ann Lee/p2" "Bob Ray/p1" "Smith, J/1" "Doe, A/2" "x y"; do
  picture "odd/$p.png" $((800 + ${#p} * 7))
done
pairs() { # TEXT COUNT [LABELS]: how many pairs score finds, and their labels
  printf "$1" >odd.txt
  rm -rf odd1
  ./net score odd.txt --root odd -o odd1 >out 2>err || { fail "list $1: $(head -1 err)"; return; }
  [ "$(($(wc -l <odd1/scores.csv) - 1))" = "$2" ] || fail "list $1: $(head -1 err)"
  [ -n "${3-}" ] || return 0
  labels=$(sed 1d odd1/scores.csv | sed 's/.*,\([^,]*\),[^,]*,[^,]*$/\1/' | tr -d '\n')
  [ "$labels" = "$3" ] || fail "labels of $1"
}
pairs 'n1/0001,n1/0002\nn1/0001,n2/0001\nn2/0001,n2/0002\n' 3
pairs 'n1/0001,n2/0001,-1\nn1/0001,n1/0002,1\n' 2 01
pairs 'n1/0001,n1/0002,same\nn1/0001,n2/0001,different\n' 2 10
pairs 'Ann Lee/p1\tAnn Lee/p2\nAnn Lee/p1\tBob Ray/p1\nAnn Lee/p2\tBob Ray/p1\n' 3
pairs 'Smith, J/1.png\tDoe, A/2.png\t0\nx y.png\tx y.png\t1\n' 2 01
pairs 'x y;n1\\0001;genuine\r"Doe, A/2";n1/0002;impostor\r' 2 10
pairs '# ours\nfoto1,foto2,igual\nn1/0001,n1/0002,1\nn1/0001,n2/0001,0\n' 2 10
for l in Ann\ Lee_1 Ann\ Lee_2 Bob\ Ray_1; do
  picture "odd/${l%_*}/${l%_*}_000${l#*_}.jpg" 9${l#*_}${#l}
done
pairs '1\t1\nAnn Lee\t1\t2\nAnn Lee\t1\tBob Ray\t1\n' 2 10
printf '2\t300\nAnn Lee\t1\t2\nAnn Lee\t1\tBob Ray\t1\n' >odd.txt
code=0; ./net score odd.txt --root odd 2>err || code=$?
[ $code = 1 ] && grep -q 'promises 1200 pairs, 2 were found' err ||
  fail "an LFW list that is too short"
pairs 'x y.png\t"Smith, J/1.png"\nx y.png\tx y.png\n' 2
[ "$(sed -n 2p odd1/scores.csv | cut -d, -f1-3)" = 'x y.png,"Smith, J/1.png"' ] ||
  fail "quoted names"
[ "$(sed -n 3p odd1/scores.csv)" = 'x y.png,x y.png,,1,0' ] ||
  fail "a picture with itself: $(sed -n 3p odd1/scores.csv)"
printf 'n1/0001\nx y\n#c\n"Smith, J/1.png"\r\n' >odd.txt
./net embed --list odd.txt --root odd -o odd.npy 2>err || fail "embed --list: $(cat err)"
head -c 128 odd.npy | grep -qa "(3, " || fail "embed --list: $(head -c 128 odd.npy)"

# names of stored embeddings: one that stands for two different rows is named
./net score $pairs19 --root s19 --save-embeddings -o e3 2>err
sed '2s/.*/1.jpg/' e3/images.txt >twice.txt
code=0
./net score $pairs19 --embeddings e3/embeddings.npy --names twice.txt 2>err || code=$?
[ $code = 1 ] && grep -q '"1.jpg" is listed twice, in lines 1 and 2' err ||
  fail "a name twice: exit $code $(cat err)"

# identify: the truth's rows by their ids; identities that hold commas, in and out
mkdir -p people/known "people/known/Smith, J" people/unknown
picture "people/known/Smith, J/1.png" 31
picture "people/known/O\"Hara/1.png" 32
picture people/known/Lee/1.png 33
cp "people/known/Smith, J/1.png" people/unknown/a.png
cp "people/known/O\"Hara/1.png" people/unknown/b.png
cp people/known/Lee/1.png people/unknown/c.png
printf 'label,id\nLee,c.png\n"Smith, J",a\n"O""Hara",b.png\n' >truth.csv
identify=(./net identify people/known people/unknown --truth truth.csv)
"${identify[@]}" -o people/out --submission f22 >out 2>err || fail "identify by id: $(cat err)"
grep -q 'accuracy *100' out || fail "identify by id: $(cat out)"
[ "$(sed 1d people/out/submission.csv)" = "$(printf '0,"Smith, J"\n1,"O""Hara"\n2,Lee')" ] ||
  fail "identities in a submission"
[ "$(sed -n 2p people/out/identities.csv | cut -d, -f2-)" = '"Smith, J","Smith, J",1' ] ||
  fail "$(cat people/out/identities.csv)"
printf 'id,label\n2,Lee\n0,"Smith, J"\n1,"O""Hara"\n' >truth.csv
"${identify[@]}" >out 2>err && grep -q 'accuracy *100' out || fail "identify by place"
for bad in 'id,label\na,Lee\na,Lee\nb,Lee:lines 2 and 3 are both about' \
  'id,label\na,Lee\nb,Lee:2 rows for 3.*none for.*c.png' \
  'id,label\na,Lee\nz,Lee\nb,Lee:3: no unknown picture' \
  'id,label\na,Smith, J\nb,Lee\nc,Lee:2: more fields' 'id,who\na,Lee:no column'; do
  printf "${bad%%:*}\n" >truth.csv
  code=0; "${identify[@]}" 2>err || code=$?
  [ $code = 1 ] && grep -q "${bad#*:}" err || fail "truth ${bad%%:*}: exit $code $(cat err)"
done

# class names: a line left out would move the others
printf 'a\n\nc\nd\ne\nf\ng\n' >gap
code=0; ./net classify known.jpg --labels gap 2>err || code=$?
[ $code = 1 ] && grep -q 'gap: line 2 is empty' err || fail "classify --labels: exit $code"
code=0; "$CAMEO" compile net.onnx --kernels plain --labels gap -o gapped 2>err || code=$?
[ $code = 1 ] && grep -q 'gap: line 2 is empty' err || fail "compile --labels: exit $code"

./net report s19v s22d -o both.html && grep -q 'lists of pairs differ' both.html ||
  fail "report of two runs"
! grep -qE '(src|href)="?(https?:)?//' both.html s19v/report.html ||
  fail "a report refers to another file"
exit $status
