"""The `.litertlm` format, read with the standard library alone.

`read_bundle_info(path)` serves every command; `read_header` is for those that look at sections.
Importing flatbuffers and protobuf would cost more time than all that a short answer does in
Python, so both wire formats are read here, bounded by the size of what is read.
"""
