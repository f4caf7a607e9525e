# Functions of jq that jaq's library has not, or has otherwise.

def IN(s): any(s == .; .);
def IN(source; s): any(source == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] = $row);
def INDEX(f): INDEX(.[]; f);
def JOIN($index; f): [.[] | [., $index[f]]];
def JOIN($index; stream; f): stream | [., $index[f]];
def JOIN($index; stream; f; join): stream | [., $index[f]] | join;

def del(f): reduce ([path(f)] | unique | reverse | .[]) as $path (.; delpaths([$path]));

def join($s):
  [.[] | $s, if . == null then "" elif type == "string" then . else tojson end]
  | .[1:] | add // "";

def ltrimstr($s): if type == "string" and ($s | type) == "string" and startswith($s) then .[$s | length:] else . end;
def rtrimstr($s):
  if type == "string" and ($s | type) == "string" and endswith($s) then .[:length - ($s | length)] else . end;

def from_entries:
  reduce .[] as $entry ({};
    .[$entry | [.key, .k, .name, .Name, .Key, .K] | map(values) | .[0] | if type == "string" then . else tojson end]
    = ($entry | if has("value") then .value elif has("v") then .v else .Value end));

def tonumber:
  if type == "number" then .
  elif type == "string" then
    [fromjson] | if length == 1 and (.[0] | type) == "number" then .[0] else error("this text is not a number") end
  else error("\(type) cannot be parsed as a number") end;

def leaf_paths: paths(scalars);

def @csv:
  [.[] | if type == "string" then "\"" + (split("\"") | join("\"\"")) + "\""
    elif type == "null" then ""
    elif type == "array" or type == "object" then error("\(type) is not valid in a csv row")
    else tostring end]
  | join(",");

def @tsv:
  [.[] | if type == "string"
    then split("\\") | join("\\\\") | split("\t") | join("\\t") | split("\n") | join("\\n") | split("\r") | join("\\r")
    elif type == "null" then ""
    elif type == "array" or type == "object" then error("\(type) is not valid in a tsv row")
    else tostring end]
  | join("\t");

def format($name):
  if $name == "text" then @text
  elif $name == "json" then @json
  elif $name == "csv" then @csv
  elif $name == "tsv" then @tsv
  elif $name == "html" then @html
  elif $name == "uri" then @uri
  elif $name == "sh" then @sh
  elif $name == "base64" then @base64
  elif $name == "base64d" then @base64d
  else error("\($name) is not a valid format") end;

def tostream:
  path(def all: (.[]? | all), .; all) as $path
  | getpath($path)
  | reduce path(.[]?) as $key ([$path, .]; [$path + $key]);

def truncate_stream(stream):
  . as $depth | stream | select(.[0] | length > $depth) | .[0] |= .[$depth:];
