# Completes qmpsh in bash. The program itself knows the candidates: `qmpsh --complete`.

_qmpsh() {
    local line word breaks= typed cut files=
    local -a found=()

    # The word up to the cursor, and the part of it that bash takes for a word of its own.
    typed=${COMP_LINE:0:COMP_POINT}
    typed=${typed##*[[:space:]]}
    [[ $COMP_WORDBREAKS == *=* ]] && breaks+='='
    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=':'
    cut=
    [[ -n $breaks ]] && cut=${typed%"${typed##*[$breaks]}"}

    COMPREPLY=()
    while IFS= read -r line; do
        word=${line:1}
        word=${word%%$'\t'*}
        case ${line:0:1} in
            f) files=-f ;;
            d) files=-d ;;
            -) found+=("${word#"$cut"} ") ;;
            +) found+=("${word#"$cut"}") ;;
        esac
    done < <("${1/#\~/$HOME}" --complete line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)

    if [[ -n $files ]]; then
        compopt -o filenames
        COMPREPLY=("${found[@]% }")
        while IFS= read -r word; do
            COMPREPLY+=("$word")
        done < <(compgen $files -- "${typed#"$cut"}")
        return
    fi
    compopt -o nospace
    for word in "${found[@]}"; do
        # A space at the end ends the word; every other character is the word's own.
        case $word in
            *' ') printf -v line '%q ' "${word% }" ;;
            *) printf -v line '%q' "$word" ;;
        esac
        [[ -z $word ]] || COMPREPLY+=("$line")
    done
}

complete -F _qmpsh qmpsh
