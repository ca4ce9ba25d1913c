#!/usr/bin/env bats
# score: results against ground truth, without a model.
load common

CASES_OF=tests/data/eval

# The reference's cases as the files that score reads.
make_captions() {
    jq '[.images[] | {image_id, caption}]' "$ROOT/$CASES_OF/caption_cases.json" >"$T/captions.json"
    jq '{images: [.images[] | {id: .image_id}],
         annotations: [.images[] | .image_id as $i | .refs[] | {image_id: $i, caption: .}]}' \
        "$ROOT/$CASES_OF/caption_cases.json" >"$T/gt.json"
}

make_vqa() {
    jq '[.questions[] | {question_id, answer: .pred}]' "$ROOT/$CASES_OF/vqa_accuracy.json" >"$T/answers.json"
    jq '{annotations: .questions}' "$ROOT/$CASES_OF/vqa_accuracy.json" >"$T/annotations.json"
}

make_gqa() {
    jq '[.cases | to_entries[] | {question_id: .key, pred_ans: .value.pred, gt_ans: .value.gt}]' \
        "$ROOT/$CASES_OF/gqa_accuracy.json" >"$T/gqa.json"
}

# make_retrieval N: case N, rows dense to texts and as candidates to pictures
make_retrieval() {
    jq ".[$1] | {score_i2t, score_t2i: [.score_t2i[] | to_entries | map(select(.value > -100)) |
         {index: map(.key), score: map(.value)}]}" "$ROOT/$CASES_OF/retrieval_recall.json" >"$T/scores.json"
    jq ".[$1] | .captions_per_image as \$n | [.score_i2t | to_entries[] | {image: \"\(.key).jpg\", caption: [range(\$n) | \"text\"]}]" \
        "$ROOT/$CASES_OF/retrieval_recall.json" >"$T/pictures.json"
}

# near FILE KEY=FILTER...: numbers of $out within 1e-9 relative of what the filter finds in FILE
near() {
    local file=$1
    shift
    for pair; do
        jq -e --argjson got "$(jq ".${pair%%=*}" <<<"$out")" \
            "(${pair#*=}) as \$want | (\$got - \$want | fabs) <= 1e-9 * (\$want | fabs)" "$file" >/dev/null ||
            { echo "$pair: got $(jq ".${pair%%=*}" <<<"$out")"; return 1; }
    done
}

@test "captions: the reference's numbers from raw text" {
    make_captions
    blip2 score caption "$T/captions.json" "$T/gt.json" --json
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    near "$ROOT/$CASES_OF/caption_cases.json" "Bleu_1=.corpus.Bleu[0]" "Bleu_2=.corpus.Bleu[1]" "Bleu_3=.corpus.Bleu[2]" \
        "Bleu_4=.corpus.Bleu[3]" ROUGE_L=.corpus.ROUGE_L CIDEr=.corpus.CIDEr "agg_metrics=.corpus.CIDEr + .corpus.Bleu[3]"
    jq -e '.METEOR == null and .SPICE == null and has("METEOR") and has("SPICE") and (has("domains") | not)' <<<"$out"
    blip2 score caption "$T/captions.json" "$T/gt.json"
    grep -q "0.7091  Bleu_1" <<<"$out"
    grep -q "METEOR: not computed, needs --meteor-jar" <<<"$out"
}

@test "captions: domains are corpora of their own" {
    make_captions
    jq '[.images[0, 1, 2] | {image_id, caption}]' "$ROOT/$CASES_OF/caption_cases.json" >"$T/three.json"
    jq '.images |= map(if .id < 3 then .domain = "in-domain" else .domain = "out-domain" end)' "$T/gt.json" >"$T/domains.json"
    blip2 score caption "$T/captions.json" "$T/domains.json" --json
    near "$ROOT/$CASES_OF/caption_subsets.json" 'domains."in-domain".CIDEr=.[0].CIDEr' \
        'domains."in-domain".Bleu_4=.[0].Bleu[3]' 'domains."in-domain".ROUGE_L=.[0].ROUGE_L'
    # The same by leaving out what has no prediction.
    blip2 score caption "$T/three.json" "$T/gt.json" --json --only-predicted
    near "$ROOT/$CASES_OF/caption_subsets.json" 'CIDEr=.[0].CIDEr' 'Bleu_4=.[0].Bleu[3]'
    blip2 score caption "$T/three.json" "$T/gt.json" --json
    failed 1 "*three.json: image 3: expected a caption, got none; 162 of 165 pictures have none"
}

@test "VQA: accuracy of all and of each type" {
    make_vqa
    blip2 score vqa "$T/answers.json" "$T/annotations.json" --json
    [ "$status" -eq 0 ]
    jq -e --slurpfile want "$ROOT/$CASES_OF/vqa_accuracy.json" '$want[0] as $w | .agg_metrics == $w.overall and
        ({other, number, "yes/no"}) == $w.perAnswerType and .question_type == $w.perQuestionType' <<<"$out"
}

@test "GQA: accuracy" {
    make_gqa
    blip2 score gqa "$T/gqa.json" --json
    [ "$status" -eq 0 ]
    jq -e --slurpfile want "$ROOT/$CASES_OF/gqa_accuracy.json" '.acc == $want[0].accuracy and .agg_metrics == .acc' <<<"$out"
}

@test "retrieval: recall both ways, rows dense or of candidates" {
    for n in 0 1 2; do
        make_retrieval $n
        blip2 score retrieval "$T/scores.json" "$T/pictures.json" --json
        [ "$status" -eq 0 ]
        near "$ROOT/$CASES_OF/retrieval_recall.json" txt_r1=.[$n].txt_r1 txt_r5=.[$n].txt_r5 txt_r10=.[$n].txt_r10 img_r1=.[$n].img_r1 \
            img_r5=.[$n].img_r5 img_r10=.[$n].img_r10 r_mean=.[$n].r_mean agg_metrics=.[$n].agg_metrics
    done
}

@test "shards: the number does not depend on them, the first entry of an id counts" {
    make_captions
    make_vqa
    make_retrieval 1
    blip2 score vqa "$T/answers.json" "$T/annotations.json" --json
    whole=$out
    jq '.[:100]' "$T/answers.json" >"$T/a"
    jq '.[90:] | map(if .question_id < 100 then .answer = "something else" else . end)' "$T/answers.json" >"$T/b"
    blip2 score vqa --merge "$T/a" "$T/b" "$T/annotations.json" --json
    [ "$out" = "$whole" ]
    blip2 score vqa "$T/a" "$T/b" "$T/annotations.json"
    failed 2 "*superfluous argument*--merge"
    blip2 score retrieval "$T/scores.json" "$T/pictures.json" --json
    whole=$out
    jq '.score_i2t[5:] |= map(map(-100)) | .score_t2i[20:] |= map({index: [], score: []})' "$T/scores.json" >"$T/a"
    jq '.score_i2t[:5] |= map(map(-100)) | .score_t2i[:20] |= map({index: [], score: []})' "$T/scores.json" >"$T/b"
    blip2 score retrieval --merge "$T/a" "$T/b" "$T/pictures.json" --json
    [ "$out" = "$whole" ]
    make_gqa
    blip2 score gqa "$T/gqa.json" --json
    whole=$out
    jq '.[:7]' "$T/gqa.json" >"$T/a"
    jq '.[5:]' "$T/gqa.json" >"$T/b"
    blip2 score gqa --merge "$T/a" "$T/b" --json
    [ "$out" = "$whole" ]
}

@test "ids are the same as numbers and as strings" {
    echo '[{"image_id": "7", "caption": "a dog"}, {"image_id": "x.jpg", "caption": "a cat"}]' >"$T/r"
    echo '{"annotations": [{"image_id": 7, "caption": "a dog"}, {"image_id": "x.jpg", "caption": "a cat"}]}' >"$T/g"
    blip2 score caption "$T/r" "$T/g" --json
    [ "$status" -eq 0 ]
    jq -e '.ROUGE_L == 1' <<<"$out"
}

# bad TASK PATTERN RESULT [GROUNDTRUTH]
bad() {
    local task=$1 pattern=$2
    printf '%s' "$3" >"$T/r.json"
    if [ $# -gt 3 ]; then
        printf '%s' "$4" >"$T/g.json"
        blip2 score "$task" "$T/r.json" "$T/g.json"
    else
        blip2 score "$task" "$T/r.json"
    fi
    failed 1 "$pattern" || { echo "for $task $*"; return 1; }
}

@test "files that do not fit: one line each that names what is wrong" {
    local gt='{"annotations": [{"image_id": 1, "caption": "a"}]}' va='{"annotations": [{"question_id": 1, "answers": [{"answer": "a"}]}]}'
    blip2 score caption "$T/none.json" "$T/none.json"
    failed 1 "*none.json: *"
    bad caption "*r.json: line 1: bad JSON: expected a list, ?" '{"a": 1}' "$gt"
    bad caption "*r.json: file: expected JSON, got an empty file*" '' "$gt"
    bad caption "*r.json: line 1: bad JSON: expected a list, ?, got the end of the file" ' ' "$gt"
    bad caption "*r.json: line 2: bad JSON: expected , or ]*end of the file" $'[{"image_id": 1, "caption": "a"}\n' "$gt"
    bad caption "*r.json: line 1: bad JSON: expected the end of the file" '[{"image_id": 1, "caption": "a"}] x' "$gt"
    bad caption "*r.json: item 0: line 1: bad JSON: duplicate object key*" '[{"image_id": 1, "image_id": 1, "caption": "a"}]' "$gt"
    bad caption "*r.json: item 0: caption: expected one, got nothing" '[{"image_id": 1}]' "$gt"
    bad caption "*r.json: item 0: caption: expected a string" '[{"image_id": 1, "caption": ["a"]}]' "$gt"
    bad caption "*r.json: item 0: image_id: expected an integer or a string" '[{"image_id": 1.5, "caption": "a"}]' "$gt"
    bad caption "*r.json: item 0: image_id: expected one of the ground truth's, got 2" '[{"image_id": 2, "caption": "a"}]' "$gt"
    bad caption "*r.json: item 1: image_id: expected each once, got 1 again" '[{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "a"}]' "$gt"
    bad caption "*r.json: item 0: expected an object or a list" '[1]' "$gt"
    bad caption "*r.json: item 0: expected an object" '[[]]' "$gt"
    bad caption "*r.json: captions: expected some, got none" '[]' "$gt"
    bad caption "*g.json: annotations: expected a list, got nothing" '[]' '{}'
    bad caption "*g.json: annotations: expected a list" '[]' '{"annotations": {}}'
    bad caption "*g.json: images: expected some, got none" '[]' '{"annotations": []}'
    bad caption "*g.json: image 5: expected captions, got none" '[]' '{"images": [{"id": 5}], "annotations": []}'
    bad vqa "*r.json: item 1: question_id: expected each once, got 1 again" '[{"question_id": 1, "answer": "a"}, {"question_id": 1, "answer": "a"}]' "$va"
    bad vqa "*g.json: annotations 0: question_id: expected one of the result's questions, got 1" '[{"question_id": 2, "answer": "a"}]' "$va"
    bad vqa "*g.json: annotations: expected one of question 2, got nothing" '[{"question_id": 1, "answer": "a"}, {"question_id": 2, "answer": "a"}]' "$va"
    bad vqa "*g.json: annotations 0: answers: expected a list of 1 to 1000, got 0" '[{"question_id": 1, "answer": "a"}]' '{"annotations": [{"question_id": 1}]}'
    bad gqa "*r.json: answers: expected some, got none" '[]'
    bad gqa "*r.json: item 0: gt_ans: expected a string" '[{"question_id": 1, "pred_ans": "a", "gt_ans": null}]'
    bad retrieval "*r.json: score_i2t: expected 1 rows, got 0" '{"score_i2t": [], "score_t2i": []}' '[{"image": "a", "caption": ["x"]}]'
    bad retrieval "*r.json: score_t2i: expected a list, got nothing" '{"score_i2t": [[1]]}' '[{"image": "a", "caption": ["x"]}]'
    bad retrieval "*r.json: score_i2t 0: row: expected 1 scores, got 2" '{"score_i2t": [[1, 2]]}' '[{"image": "a", "caption": "x"}]'
    bad retrieval "*r.json: score_i2t 0: score: expected a number" '{"score_i2t": [[NaN]]}' '[{"image": "a", "caption": "x"}]'
    bad retrieval "*r.json: score_i2t 0: index: expected integers below 1" '{"score_i2t": [{"index": [1], "score": [1]}]}' '[{"image": "a", "caption": "x"}]'
    bad retrieval "*g.json: item 0: caption: expected a string or a list of strings" '{}' '[{"image": "a"}]'
}

@test "usage" {
    blip2 score nonsense a b
    failed 2 "*score: expected caption, vqa, gqa or retrieval, got 'nonsense'"
    blip2 score caption a
    failed 2 "*too few arguments, expected blip2 score caption RESULT GROUNDTRUTH"
    blip2 score vqa a b --meteor-jar c
    failed 2 "*score vqa: --meteor-jar is for caption"
    blip2 score caption a b --lemmatize
    failed 2 "*score caption: --lemmatize is for vqa gqa"
}

@test "memory that ends is an error wherever it ends" {
    make_gqa
    for n in 1 2 3 5 8 13 21 34 55; do
        blip2 score gqa "$T/gqa.json" --fail-alloc $n
        failed 6 "*out of memory*"
    done
}

# --- programs of others ------------------------------------------------------------------------------

# java SCRIPT: a java for this test
java() {
    mkdir -p "$T/bin"
    printf '#!/bin/sh\n%s\n' "$1" >"$T/bin/java"
    chmod +x "$T/bin/java"
    PATH=$T/bin:$PATH
    touch "$T/x.jar"
    echo '[{"image_id": 1, "caption": "A dog."}, {"image_id": 2, "caption": "a cat"}]' >"$T/r"
    echo '{"annotations": [{"image_id": 1, "caption": "A dog!"}, {"image_id": 2, "caption": "cats"}, {"image_id": 2, "caption": "a  cat ||| x"}]}' >"$T/g"
}

@test "METEOR: the protocol of its -stdio" {
    java 'cat >"$LOG/asked" <<X
$*
X
read -r a; read -r b; printf "1 2 3\n4 5 6\n"
read -r c; printf "%s\n%s\n%s\n" "$a" "$b" "$c" >>"$LOG/asked"; printf "0.5\n0.25\n0.375\n"'
    LOG=$T blip2 score caption "$T/r" "$T/g" --json --meteor-jar "$T/x.jar"
    [ "$status" -eq 0 ]
    [ "$(jq .METEOR <<<"$out")" = 0.375 ]
    [ "$(cat "$T/asked")" = "-Xmx2G -Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8 -jar $T/x.jar - - -stdio -l en -norm
SCORE ||| a dog ||| a dog
SCORE ||| cats ||| a cat | | | x ||| a cat
EVAL ||| 1 2 3 ||| 4 5 6" ]
}

@test "SPICE: its files, and nothing of them left behind" {
    java 'cp "$4" "$LOG/asked"; echo "[{\"scores\": {\"All\": {\"f\": 0.5}}}, {\"scores\": {\"All\": {\"f\": 0.25}}}]" >"$6"'
    mkdir "$T/tmp"
    LOG=$T TMPDIR=$T/tmp blip2 score caption "$T/r" "$T/g" --json --spice-jar "$T/x.jar"
    [ "$status" -eq 0 ]
    [ "$(jq .SPICE <<<"$out")" = 0.375 ]
    [ "$(jq -c '.[1]' "$T/asked")" = '{"image_id":1,"test":"a cat","refs":["cats","a cat | | | x"]}' ]
    [ -z "$(ls "$T/tmp")" ]
}

@test "the original tokenizer's tokens, without punctuation" {
    java 'sed "s/[.]/ ./; s/A /b /; s/\$/ -- /"'
    blip2 score caption "$T/r" "$T/g" --json --ptb-jar "$T/x.jar"
    [ "$status" -eq 0 ]
    # "b dog" and "b dog!"; "a cat" and "a", "", "cat", "|||", "x": precision 1, recall 2/5
    jq -e '(.ROUGE_L - (0.5 + 2.44 * 0.4 / (0.4 + 1.44)) / 2 | fabs) < 1e-12' <<<"$out"
}

@test "programs that fail: one line, no waiting" {
    java 'echo "first line" >&2; echo "Exception in thread main" >&2; exit 3'
    blip2 score caption "$T/r" "$T/g" --meteor-jar "$T/x.jar"
    failed 1 "*java: program: expected exit code 0, got 3: Exception in thread main"
    java 'exit 0'
    blip2 score caption "$T/r" "$T/g" --meteor-jar "$T/x.jar"
    failed 1 "*java: answer: expected 2 lines, got 0"
    blip2 score caption "$T/r" "$T/g" --ptb-jar "$T/x.jar"
    failed 1 "*java: answer: expected 3 lines, got 0"
    java 'kill -9 $$'
    blip2 score caption "$T/r" "$T/g" --spice-jar "$T/x.jar"
    failed 1 "*java: program: ended by signal 9*"
    java 'yes'
    blip2 score caption "$T/r" "$T/g" --ptb-jar "$T/x.jar"
    failed 1 "*java: answer: expected at most * bytes, got more"
    blip2 score caption "$T/r" "$T/g" --ptb-jar "$T/none.jar"
    failed 1 "*none.jar: file: not found"
}

@test "no java: one line says so" {
    java 'exit 0'
    rm "$T/bin/java"
    status=0
    PATH=$T/bin "$BLIP2" score caption "$T/r" "$T/g" --meteor-jar "$T/x.jar" >"$T/out" 2>"$T/err" || status=$?
    [ "$status" -eq 1 ]
    [ "$(cat "$T/err")" = "blip2: java: program: not found; is it installed, and in PATH?" ]
}

@test "lemmas: a command of the user's, or rules that say so" {
    echo '[{"question_id": 1, "answer": "dogs"}, {"question_id": 2, "answer": "standing"}]' >"$T/r"
    echo '{"annotations": [{"question_id": 1, "answers": [{"answer": "dog", "answer_id": 1}, {"answer": "dog", "answer_id": 2}]},
        {"question_id": 2, "answers": [{"answer": "stand", "answer_id": 1}, {"answer": "stand", "answer_id": 2}]}]}' >"$T/g"
    blip2 score vqa "$T/r" "$T/g" --json
    [ "$(jq .agg_metrics <<<"$out")" = 0 ]
    blip2 score vqa "$T/r" "$T/g" --json --lemmatize
    [ "$(jq .agg_metrics <<<"$out")" = 33.33 ]
    [[ $err == *"approximate"* ]]
    blip2 score vqa "$T/r" "$T/g" --json --lemmatizer "sed s/dogs/dog/"
    [ "$(jq .agg_metrics <<<"$out")" = 16.67 ]
    [ -z "$err" ]
    blip2 score vqa "$T/r" "$T/g" --lemmatizer "head -n 1"
    failed 1 "*sh: answer: expected 2 lines, got 1"
    blip2 score vqa "$T/r" "$T/g" --lemmatizer "no-such-program"
    failed 1 "*sh: program: expected exit code 0, got 127: *no-such-program*"
}

@test "more than a pipe holds goes both ways" {
    jq -n '[range(30000) | {question_id: ., answer: "a long answer of several words and more"}]' >"$T/r"
    jq -n '{annotations: [range(30000) | {question_id: ., answers: [{answer: "long answer of several words and more"}]}]}' >"$T/g"
    timeout 60 "$BLIP2" score vqa "$T/r" "$T/g" --lemmatizer cat --json >"$T/out"
    # A program that first writes and never reads, and one that reads all first.
    timeout 60 "$BLIP2" score vqa "$T/r" "$T/g" --lemmatizer "tac | tac" --json >"$T/out2"
    cmp "$T/out" "$T/out2"
    run timeout 60 "$BLIP2" score vqa "$T/r" "$T/g" --lemmatizer "seq 30000" --json
    [ "$status" -eq 0 ]
}
