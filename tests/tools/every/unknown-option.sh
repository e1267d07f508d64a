expect 64 "$TOOL" --no-such-option >out 2>err
[ ! -s out ]
one_line err
grep -q "^$TOOL: .*--no-such-option" err
[ "$(ls)" = $'err\nout' ]
