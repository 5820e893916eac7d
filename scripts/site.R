# The parts of scripts/site:
#   Rscript scripts/site.R reference  is every help page, and so every export, in the reference of _pkgdown.yml once?
#   Rscript scripts/site.R build      builds _build/site, without looking anything up in the network
#   Rscript scripts/site.R links      do the links of _build/site lead somewhere, and does no page need another host?

site <- "_build/site"

stop_with <- function(problems) {
  if (length(problems)) {
    writeLines(problems, stderr())
    quit(status = 1)
  }
}

# --- the reference ----------------------------------------------------------------------------------------------------

of_tag <- function(rd, tag) {
  trimws(vapply(Filter(function(part) attr(part, "Rd_tag") == tag, rd), function(part) paste(unlist(part), collapse = ""), ""))
}

check_reference <- function() {
  pages <- lapply(list.files("man", "[.]Rd$", full.names = TRUE), tools::parse_Rd)
  names(pages) <- vapply(pages, of_tag, "", "\\name")
  aliases <- lapply(pages, of_tag, "\\alias")
  page_of <- stats::setNames(rep(names(aliases), lengths(aliases)), unlist(aliases))

  topics <- gsub("`", "", unlist(lapply(yaml::read_yaml("_pkgdown.yml")$reference, `[[`, "contents")))
  listed <- unname(page_of[topics])
  exports <- parseNamespaceFile(basename(getwd()), dirname(getwd()))$exports
  problem <- function(what, which) if (length(which)) paste0("_pkgdown.yml: ", what, ": ", paste(which, collapse = ", "))
  stop_with(c(
    problem("topics without a help page", topics[is.na(listed)]),
    problem("help pages listed twice", unique(listed[duplicated(listed) & !is.na(listed)])),
    problem("help pages that are not listed", setdiff(names(pages), listed)),
    problem("exports without a help page", setdiff(exports, names(page_of)))
  ))
  cat("The reference has", length(listed), "help pages and", length(exports), "exports, each once.\n")
}

# --- the build --------------------------------------------------------------------------------------------------------

html_files <- function() list.files(site, "[.]html$", recursive = TRUE, full.names = TRUE)
read_text <- function(file) paste(readLines(file, encoding = "UTF-8", warn = FALSE), collapse = "\n")

# Formulas as MathML, which browsers show without a library. `found` are as they stand in a page: \(x\), $$x$$, \[x\].
mathml <- function(found) {
  tex <- substr(found, 3, nchar(found) - 2)
  entities <- c("&lt;" = "<", "&gt;" = ">", "&amp;" = "&")
  for (entity in names(entities)) tex <- gsub(entity, entities[[entity]], tex, fixed = TRUE)
  mark <- ifelse(startsWith(found, "\\("), "$", "$$")
  input <- tempfile(fileext = ".md")
  output <- tempfile(fileext = ".html")
  writeLines(paste0(mark, trimws(gsub("\\s*\n\\s*", " ", tex)), mark, "\n"), input, useBytes = TRUE)
  rmarkdown::pandoc_convert(input, "html", "markdown-smart", output, options = "--mathml")
  text <- read_text(output)
  made <- regmatches(text, gregexpr("(?s)<math.*?</math>", text, perl = TRUE))[[1]]
  if (length(made) != length(found)) stop("pandoc made ", length(made), " formulas of ", length(found), call. = FALSE)
  made
}

# pkgdown before 2.1 leaves formulas to MathJax, and takes it and more from other hosts. What is lost by that,
# pkgdown/extra.js does.
stand_alone <- function(files) {
  texts <- vapply(files, read_text, "")
  # Not in code.
  at <- gregexpr("(?s)<(pre|code)\\b.*?</\\1>(*SKIP)(*F)|\\\\\\(.+?\\\\\\)|\\$\\$.+?\\$\\$|\\\\\\[.+?\\\\\\]", texts, perl = TRUE)
  found <- regmatches(texts, at)
  if (length(unlist(found))) regmatches(texts, at) <- utils::relist(mathml(unlist(found)), found)
  elsewhere <- "(?s)<script[^>]* src=\"(https?:|file:)//[^>]*>\\s*</script>|<link[^>]* href=\"https?://[^>]*>"
  own <- "(?s)<script[^>]* src=\"[./]*pkgdown.js\"[^>]*>\\s*</script>"
  needs <- grepl(elsewhere, texts, perl = TRUE)
  texts[needs] <- gsub(own, "", gsub(elsewhere, "", texts[needs], perl = TRUE), perl = TRUE)
  for (i in seq_along(files)) writeLines(texts[[i]], files[i], useBytes = TRUE)
}

build <- function() {
  options(pkgdown.internet = FALSE)
  unlink(site, recursive = TRUE)
  pkgdown::build_site(
    override = list(destination = site), install = FALSE, new_process = FALSE, preview = FALSE
  )
  stand_alone(html_files())
}

# --- the links --------------------------------------------------------------------------------------------------------

check_links <- function() {
  files <- normalizePath(html_files())
  pages <- stats::setNames(lapply(files, xml2::read_html), files)
  ids <- lapply(pages, function(page) xml2::xml_text(xml2::xml_find_all(page, "//@id | //a/@name")))
  other_host <- function(link) grepl("^([a-z]+:|//)", link)
  n <- 0
  problems_of <- function(file) {
    page <- pages[[file]]
    here <- substring(file, nchar(normalizePath(site)) + 2)
    needed <- xml2::xml_text(xml2::xml_find_all(page, "//*/@src | //link[@rel='stylesheet']/@href"))
    links <- unique(c(xml2::xml_text(xml2::xml_find_all(page, "//a/@href")), needed))
    links <- links[!other_host(links)]
    path <- utils::URLdecode(sub("[?#].*", "", links))
    target <- normalizePath(ifelse(path == "", file, file.path(dirname(file), path)), mustWork = FALSE)
    target <- ifelse(dir.exists(target), file.path(target, "index.html"), target)
    fragment <- ifelse(grepl("#.", links), utils::URLdecode(sub("^[^#]*#", "", links)), "")
    found <- file.exists(target) &
      (fragment == "" | mapply(function(t, f) is.null(ids[[t]]) || f %in% ids[[t]], target, fragment))
    n <<- n + length(links)
    c(
      if (any(!found)) paste0(here, ": nothing is at ", links[!found]),
      if (any(bad <- other_host(needed) & !startsWith(needed, "data:"))) paste0(here, ": needs ", needed[bad])
    )
  }
  stop_with(unlist(lapply(files, problems_of)))
  cat(n, "links on", length(files), "pages lead somewhere.\n")
}

switch(commandArgs(TRUE)[1],
  reference = check_reference(),
  build = build(),
  links = check_links()
)
