# Definitions of jq that jaq does not have, or has with another meaning.

def delpaths($paths): delpaths_in_order($paths);
def del(f): delpaths_in_order([path(f)]);

def ltrimstr($x): if isstring and ($x | isstring) and startswith($x) then .[($x | length):] else . end;
def rtrimstr($x): if isstring and ($x | isstring) and endswith($x) then .[:length - ($x | length)] else . end;

def leaf_paths: paths(scalars);
def recurse_down: recurse;
def ascii: [.] | implode;

def join($sep):
  def text: if . == null then "" elif isstring then . elif isarray or isobject then error("cannot join \(.)") else tojson end;
  if length == 0 then "" else reduce .[1:][] as $x (.[0] | text; . + $sep + ($x | text)) end;

def from_entries:
  def name: if has("key") then .key elif has("k") then .k elif has("name") then .name
            elif has("Name") then .Name elif has("Key") then .Key else .K end
          | if isstring then . elif . == null then "null" else tojson end;
  def worth: if has("value") then .value elif has("v") then .v elif has("Value") then .Value else .V end;
  reduce .[] as $x ({}; . + { ($x | name): ($x | worth) });

def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);

def tostream: path(def r: (.[]? | r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
