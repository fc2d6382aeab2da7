"""Scores of queries against documents in, the maximum term-weighted value out (QUESST 2014)."""

from collections.abc import Mapping

import numpy as np

from espnet2.utils.errors import UserError

# QUESST 2014: a miss costs 100, a false alarm 1, and a document holds a query with a probability of 0.0008.
MISS_COST, FALSE_ALARM_COST, PRIOR = 100.0, 1.0, 0.0008
BETA = FALSE_ALARM_COST * (1 - PRIOR) / (MISS_COST * PRIOR)


def maximum_twv(
    scores: Mapping[str, Mapping[str, float]], matches: Mapping[str, set[str]], *, beta: float = BETA
) -> float:
    """1 less the mean over queries of P(miss) + beta P(false alarm), at the threshold where that is most; at least 0.

    At a threshold above all scores everything is missed, which gives 0.

    Args:
        scores: query -> document -> score; higher: more likely that it holds the query.
        matches: query -> documents that hold it. Queries that none holds are left out, as the NIST tool does.

    Raises:
        UserError: no query has a document, or a query has all of them.
    """
    queries = [query for query in scores if matches.get(query)]
    if not queries:
        raise UserError("no query is in any document: an MTWV needs some; check the table of matches")
    values, costs = [], []
    for query in queries:
        documents = scores[query]
        true = sum(document in matches[query] for document in documents)
        others = len(documents) - true
        if not true or not others:
            raise UserError(f"query {query}: {true} of {len(documents)} documents hold it: an MTWV needs both kinds")
        for document, score in documents.items():
            values.append(score)
            # What taking this document changes: a miss less, or a false alarm more.
            costs.append(-1 / true if document in matches[query] else beta / others)
    order = np.argsort(-np.asarray(values), kind="stable")
    ranked, changes = np.asarray(values)[order], np.asarray(costs)[order]
    total = 1 + np.cumsum(changes) / len(queries)
    is_last = np.append(ranked[1:] != ranked[:-1], True)  # equal scores are taken together
    return max(0.0, float(1 - total[is_last].min()))
