# What the installed help has: pages that are found by the field's words, complete pages, formulas that text help can
# show. R CMD check looks at none of these.

help_pages <- function() {
  skip_if(!nzchar(system.file("help", "covmash.rdb", package = "covmash")), "covmash was installed without its help")
  tools::Rd_db("covmash")
}

# All elements of a page that have one of these tags.
tagged <- function(rd, tags) {
  found <- if (isTRUE(attr(rd, "Rd_tag") %in% tags)) list(rd)
  c(found, if (is.list(rd)) unlist(lapply(rd, tagged, tags), recursive = FALSE))
}
page_elements <- function(rd, tags) unlist(lapply(rd, tagged, tags), recursive = FALSE)
text_of <- function(element) paste(unlist(element), collapse = "")

test_that("the field's words find help pages", {
  invisible(help_pages())
  words <- c(
    "covariance matrix", "empirical Bayes", "eQTL", "extreme deconvolution", "factor analysis", "false discovery rate",
    "false sign rate", "GWAS", "meta-analysis", "missing data", "multiple testing", "summary statistics"
  )
  for (word in words) {
    # Not the fuzzy match of words of five letters and more.
    found <- utils::help.search(word, package = "covmash", agrep = FALSE)$matches
    expect_gt(nrow(found), 0, label = paste0("number of pages found by \"", word, "\""))
  }
})

test_that("every exported function has a help page with a title, a value and an example", {
  pages <- help_pages()
  aliases <- lapply(pages, function(rd) vapply(page_elements(rd, "\\alias"), text_of, ""))
  exports <- Filter(
    # What comes from another package has its page there.
    function(name) identical(environment(getExportedValue("covmash", name)), asNamespace("covmash")),
    parseNamespaceFile("covmash", dirname(system.file(package = "covmash")))$exports
  )
  expect_gt(length(exports), 80)
  expect_identical(setdiff(exports, unlist(aliases)), character(), label = "exports without a page")
  of_exports <- pages[vapply(aliases, function(page) any(exports %in% page), NA)]
  parts <- c("\\title", "\\value", "\\examples")
  for (name in names(of_exports)) {
    page <- of_exports[[name]]
    tags <- vapply(page, attr, "", "Rd_tag")
    written <- vapply(parts, function(part) any(nzchar(trimws(vapply(page[tags == part], text_of, "")))), NA)
    expect_identical(parts[!written], character(), label = paste("what", name, "lacks"))
  }
})

test_that("formulas that text help cannot show as LaTeX have a plain form", {
  # The commands that tools::Rd2txt() takes out itself.
  greek <- paste(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi",
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega sum prod sqrt le ge"
  )
  shown <- paste0("\\\\(", gsub(" ", "|", greek), ")(?![A-Za-z])")
  pages <- help_pages()
  n <- 0
  for (name in names(pages)) {
    for (formula in page_elements(pages[[name]], c("\\eqn", "\\deqn"))) {
      n <- n + 1
      parts <- vapply(formula, text_of, "")
      text <- if (length(parts) > 1) parts[2] else gsub(shown, "", parts[1], perl = TRUE)
      expect_no_match(text, "\\", fixed = TRUE, info = paste(name, parts[1]))
    }
  }
  expect_gt(n, 100)
})
