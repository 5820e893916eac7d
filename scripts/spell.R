# Words of help pages, vignettes, NEWS.md, README.md and DESCRIPTION that are neither English (en-GB) nor in
# inst/WORDLIST; any is an error.

words <- spelling::spell_check_package(".")
# Initials of authors, genes and symbols.
words <- words[!grepl("^[A-Z]{1,3}$", words$word), ]
if (nrow(words)) {
  print(words)
  cat("Mend them, or add them to inst/WORDLIST, which is in alphabetical order.\n")
  quit(status = 1)
}
cat("Every word is known.\n")
