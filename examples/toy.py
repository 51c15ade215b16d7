"""A small corpus and a saved adapter for the other examples: questions on Python, and a map that is fitted in a second.

For an adapter of your own, which is chosen and judged, type: embertune tune DATA --out my-adapter
"""

import embertune

DATA = embertune.demo_dataset()
QUERIES = {query: DATA.queries[query] for query in list(DATA.queries)[:120]}
DOCUMENTS = {key: DATA.corpus[key].content[:400] for query in QUERIES for key in DATA.positives(query)}
QUERY = "how do I split a list into chunks"


def save_adapter(folder, encoder="static", side="query"):
    """Fit a linear map on some of the demo's questions and save it."""
    model = embertune.load_encoder(encoder)
    pairs = [(text, DOCUMENTS[key]) for query, text in QUERIES.items() for key in DATA.positives(query)]
    queries = model.encode_query([query for query, _ in pairs])
    documents = model.encode_document([document for _, document in pairs])
    adapter = embertune.LinearAdapter(side, rank=32).fit(queries, documents).gated(
        embertune.Gate.fit(queries), documents=embertune.Gate.fit(documents)
    )  # fmt: skip
    adapter.encoder = model.spec.to_dict()
    return str(adapter.save(folder))
