# layout.awk - the structs of the interface headers as rows for src/host/layout.c: WHOLE(struct), then for each of its
# fields FIELD(struct, field). Used by Makefile.am. It reads the plain C of those headers: a struct opens with
# "struct name {" and closes with "}" in column 0, has no struct inside, and its declarations end in ";".
{
  while (match($0, /\/\*([^*]|\*+[^*\/])*\*+\//)) $0 = substr($0, 1, RSTART - 1) " " substr($0, RSTART + RLENGTH)
  if (comment && !sub(/^.*\*\//, "")) next
  comment = sub(/\/\*.*$/, "")
}
/^struct [a-z0-9_]+ *\{/ {
  type = $2
  text = ""
  print "WHOLE(" type ")"
  next
}
/^}/ { type = "" }
type != "" {
  text = text " " $0
  while ((end = index(text, ";")) > 0) {
    count = split(substr(text, 1, end - 1), names, ",")
    text = substr(text, end + 1)
    for (i = 1; i <= count; i++) {
      gsub(/\[[^]]*\]/, "", names[i])
      gsub(/ +$/, "", names[i])
      sub(/^.*[^A-Za-z0-9_]/, "", names[i])
      print "FIELD(" type ", " names[i] ")"
    }
  }
}
