"""Macros that format values in the runtime as Python does."""

from __future__ import annotations

PYTHON_TEXT = """\
{%- macro python_repr(value) -%}
{%- if value is string -%}
{%- set quote = '"' if "'" in value and '"' not in value else "'" -%}
{%- set text = value|replace("\\\\", "\\\\\\\\")|replace("\\n", "\\\\n") -%}
{%- set text = text|replace("\\r", "\\\\r")|replace("\\t", "\\\\t") -%}
{{- quote ~ (text if quote == '"' else text|replace("'", "\\\\'")) ~ quote -}}
{%- elif value is mapping -%}
{{- "{" -}}
{%- for key, item in value|items -%}
{{- python_repr(key) ~ ": " ~ python_repr(item) ~ ("" if loop.last else ", ") -}}
{%- endfor -%}
{{- "}" -}}
{%- elif value is sequence -%}
{{- "[" -}}
{%- for item in value -%}{{- python_repr(item) ~ ("" if loop.last else ", ") -}}{%- endfor -%}
{{- "]" -}}
{%- elif value is defined -%}
{{- python_str(value) -}}
{%- endif -%}
{%- endmacro -%}
{%- macro python_str(value) -%}
{%- if value is string -%}{{- value -}}
{%- elif value is not defined -%}
{%- elif value == none -%}{{- "None" -}}
{%- elif value is boolean -%}{{- "True" if value else "False" -}}
{%- elif value is mapping or value is sequence -%}{{- python_repr(value) -}}
{%- else -%}{{- value -}}
{%- endif -%}
{%- endmacro -%}
"""
"""`python_str` formats a value as Python's str does."""

PYTHON_JSON = """\
{%- macro python_json(value, indent, comma, colon, sorted, level) -%}
{%- set inner = "\\n" ~ " " * (indent * (level + 1)) if indent >= 0 else "" -%}
{%- set outer = "\\n" ~ " " * (indent * level) if indent >= 0 else "" -%}
{%- if value is mapping and value -%}
{{- "{" -}}
{%- for key, item in (value|dictsort(case_sensitive=true) if sorted else value|items) -%}
{{- inner ~ key|tojson ~ colon ~ python_json(item, indent, comma, colon, sorted, level + 1) -}}
{%- if not loop.last -%}{{- comma -}}{%- endif -%}
{%- endfor -%}
{{- outer ~ "}" -}}
{%- elif value is sequence and value -%}
{{- "[" -}}
{%- for item in value -%}
{{- inner ~ python_json(item, indent, comma, colon, sorted, level + 1) -}}
{%- if not loop.last -%}{{- comma -}}{%- endif -%}
{%- endfor -%}
{{- outer ~ "]" -}}
{%- else -%}
{{- value|tojson -}}
{%- endif -%}
{%- endmacro -%}
"""
"""`python_json` formats JSON as `json.dumps` does; an indent of -1 means none."""
