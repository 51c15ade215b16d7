"""The section on speed of benchmarks/README.md, from transform.json and growth.json."""


def both(times):
    """Give the median and the fastest; they differ where other work holds a core that BLAS waits for."""
    return f"{times[0]:.0f} ({times[1]:.0f})"


def part(row, name):
    """Give the seconds of a part; it may not have been told apart."""
    return "–" if row["parts"][name] is None else f"{row['parts'][name]:.1f}"


def lines(transform, growth):
    """Give its lines; either may be missing."""
    found = []
    if transform:
        found += [
            "`python benchmarks/transform.py`: `transform` of large batches, as a share of the rate of a float32 "
            "matrix product by a full map, timed in turn; a map of low rank does less and may come out above. A single "
            "query: microseconds, median (fastest), plain, behind a gate of 2048 queries, and the bare product.",
            "",
            "| threads | dimensions | rank | share of product | GFLOP/s of product | query | gated | bare product |",
            "|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        found += [
            f"| {row['threads']} | {row['dimension']} | {row['rank'] or 'full'} | {row['of_product']:.0%} | "
            f"{row['product_gflops']:.0f} | {both(row['single_us'])} | {both(row['gated_us'])} | "
            f"{both(row['product_us'])} |"
            for row in transform
        ]
        found.append("")
    if growth:
        found += [
            '`python benchmarks/growth.py`: fitting and choosing, effort="normal", on made-up vectors in memory-mapped '
            "files; memory is beyond these. Where other work ran on the machine the product's rate, before and after, "
            "is lower.",
            "",
            "| pairs | documents | width | threads | seconds | CPU s | solver | search | subspace | MiB | GFLOP/s |",
            "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        found += [
            f"| {row['pairs']:,} | {row['documents']:,} | {row['dimension']} | {row['threads']} | "
            f"{row['seconds']:.1f} | {row['cpu']:.1f} | {part(row, 'solver')} | {part(row, 'search')} | "
            f"{part(row, 'subspace')} | {row['mib']:.0f} | {row['gflops'][0]:.0f}, {row['gflops'][1]:.0f} |"
            for row in growth
        ]
        found.append("")
    return found
