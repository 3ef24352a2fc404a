"""A folder of Markdown notes, read once for every tool beside it.

vault         the folder, its notes and its other files
note          one note, parsed
frontmatter   the YAML block at a note's head
markdown      what the text says: headings, words, and where code hides links
links         the links of a text, each with its place
resolve       where a link leads
closest       what a broken link may have meant
network       notes and links as a graph
analysis      what the graph says: rank and communities
layout        where each note stands in the picture
index         words and where they weigh most
growth        notes over time, as a drawing
pages         HTML that stands alone
console       what a tool says while it works
"""
