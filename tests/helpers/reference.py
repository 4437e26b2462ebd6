"""The picture as plain Python says it: what every renderer must match, pixel for pixel."""


def escape_counts(task):
    counts = []
    for y in range(task.height):
        row = []
        for x in range(task.width):
            zr = x * (task.xb - task.xa) / (task.width - 1) + task.xa
            zi = y * (task.yb - task.ya) / (task.height - 1) + task.ya
            for n in range(task.iterations):
                count = n
                if zr * zr + zi * zi > 4.0:
                    break
                zr, zi = zr * zr - zi * zi + task.cx, zr * zi + zi * zr + task.cy
            row.append(count)
        counts.append(row)
    return counts


def colour(n):
    return n % 8 * 32, n % 16 * 16, n % 32 * 8
