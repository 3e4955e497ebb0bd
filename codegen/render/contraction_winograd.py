"""A contraction over 3 x 3 windows of images by Winograd's F(2x2, 3x3): the bodies of two kernels.

The first transforms the weights: 16 numbers for each output and channel, in rows of channels, point
by point. In the second each task takes some rows of tiles. It transforms what they see of every
channel, multiplies matrices in the register tiles of other contractions, point by point, with the
tiles as columns, and transforms the sums back into image rows, which the epilogue consumes.

Tiles are transformed in *pieces*, neighbours in a row of tiles that make a vector. Where a row is
shorter, what a piece computes past its end is overwritten by the next one.
"""

from __future__ import annotations

from codegen.dtype import float32
from codegen.index.contraction import a_spans
from codegen.loops.contraction import Schedule
from codegen.loops.contraction_winograd import (
    POINTS,
    ImageWindows,
    panel_widths,
    piece_lanes,
    tile_columns,
)
from codegen.render.contraction_form import (
    Epilogue,
    Form,
    Helpers,
    Text,
    minimum,
    offset_expression,
    reach,
    static_function,
)
from codegen.render.register_tile import LINE, tile_function

# Transformed memory that one step goes through at all points: so many elements more a point, so
# that the points are not in one cache set.
_APART = 16
_ROWS = 8  # outputs whose weights are transformed together


class _Weights:
    """How transformed weights lie: by group, by block of outputs, by point, by output."""

    def __init__(self, windows: ImageWindows, schedule: Schedule) -> None:
        self.block = schedule.row_chunk
        self.blocks = -(-windows.output_count // self.block)
        self.padded = -(-windows.channel_count // 16) * 16  # what is written of a row
        self.row = self.padded + 16
        self.point = self.block * self.row + _APART
        self.of_block = POINTS * self.point
        self.of_group = self.blocks * self.of_block


def weight_bytes(windows: ImageWindows, schedule: Schedule) -> int:
    """Memory that the transformed weights take."""
    return windows.group_count * _Weights(windows, schedule).of_group * 4


class WinogradWeights(Form):
    """``G w Gᵀ`` of every output's and channel's weights, for Winograd to read.

    The results go to ``b``, the transformed weights' pointer.
    """

    def __init__(self, windows: ImageWindows, schedule: Schedule, a: str, b: str) -> None:
        super().__init__(windows.contraction, schedule, a, b, Epilogue(()), None)
        self.windows = windows
        self.layout = _Weights(windows, schedule)

    def write(self) -> None:
        windows, layout, text = self.windows, self.layout, self.text
        channels, outputs = windows.channel_count, windows.output_count
        parts = -(-outputs // _ROWS)
        taps = 9 * layout.padded
        self.reserve("float", "taps_", _ROWS * taps, 4)
        self.begin_tasks(windows.group_count * parts)
        group = offset_expression(windows.group_spans("a"), "group_")
        text.add(
            f"const long group_ = task_ / {parts};",
            f"const float *restrict a_ = {self.a} + {self.contraction.a_offset} + ({group});",
            f"const long m_begin_ = task_ % {parts} * {_ROWS};",
            f"const long m_end_ = {minimum('m_begin_', _ROWS, outputs)};",
        )
        rows = a_spans(self.contraction.rows)
        loops = [
            "for (long m_ = m_begin_; m_ < m_end_; m_++) {",
            f"for (long c_ = 0; c_ < {channels}; c_++) {{",
        ]
        if abs(rows[-1].stride) < abs(windows.weight_spans[-1].stride):
            loops.reverse()  # neighbours in memory one after the other
        text.add(
            *loops,
            f"const float *source_ = a_ + ({offset_expression(rows, 'm_')}) "
            f"+ ({offset_expression(windows.weight_spans, 'c_')});",
            f"float *target_ = taps_ + (m_ - m_begin_) * {taps} + c_;",
        )
        down, along = windows.taps
        for i in range(3):
            for j in range(3):
                tap = (i * 3 + j) * layout.padded
                text.add(f"target_[{tap}] = source_[{i * down + j * along}];")
        text.add("}", "}")
        function = self._transform_function()
        place = f"m_ / {layout.block} * {layout.of_block} + m_ % {layout.block} * {layout.row}"
        text.add(
            "for (long m_ = m_begin_; m_ < m_end_; m_++) {",
            f"{function}(taps_ + (m_ - m_begin_) * {taps}, "
            f"{self.b} + group_ * {layout.of_group} + {place});",
            "}",
            "}",
        )

    def _transform_function(self) -> str:
        """A function that transforms the weights of one output, in vectors along the channels."""
        lanes, layout = self.schedule.lanes, self.layout
        vector = self.helpers.vector(float32, lanes)
        text = Text()
        text.add(f"for (long c = 0; c < {layout.padded}; c += {lanes}) {{")
        for i in range(3):
            for j in range(3):
                place = (i * 3 + j) * layout.padded
                text.add(f"const {vector} w{i}{j} = *(const {vector}u *)(taps + {place} + c);")
        for j in range(3):
            text.add(*_halves(vector, f"w0{j}", f"w1{j}", f"w2{j}", [f"v{i}{j}" for i in range(4)]))
        for i in range(4):
            names = [f"u{i}{j}" for j in range(4)]
            text.add(*_halves(vector, f"v{i}0", f"v{i}1", f"v{i}2", names))
            for j, name in enumerate(names):
                place = (i * 4 + j) * layout.point
                text.add(f"*({vector}u *)(target + {place} + c) = {name};")
        text.add("}")
        signature = "@(const float *restrict taps, float *restrict target)"
        return self.helpers.add("winograd_weights", static_function(signature, text))


def _halves(vector: str, x: str, y: str, z: str, names: list[str]) -> list[str]:
    """G times (x, y, z): x, half of x + y + z, half of x - y + z, and z."""
    first, plus, minus, last = names
    return [
        f"const {vector} {plus} = ({x} + {z} + {y}) * 0.5f, {minus} = ({x} + {z} - {y}) * 0.5f;",
        f"const {vector} {first} = {x}, {last} = {z};",
    ]


class Winograd(Form):
    """Images in, results to the epilogue. ``a`` names the transformed weights, ``b`` the images."""

    def __init__(
        self, windows: ImageWindows, schedule: Schedule, a: str, b: str, epilogue: Epilogue
    ) -> None:
        super().__init__(windows.contraction, schedule, a, b, epilogue, None)
        self.windows = windows
        self.layout = _Weights(windows, schedule)
        self.across = windows.tiles_across
        self.down = -(-windows.height // 2)  # rows of tiles in an image
        self.lanes = piece_lanes(schedule, windows)
        self.columns = tile_columns(schedule, windows)
        self.image_point = windows.channel_count * self.columns + _APART
        self.sum_point = schedule.row_chunk * self.columns + _APART
        # The first tile of each piece; the last piece ends with the row.
        whole = self.across - self.lanes
        self.pieces = [*range(0, whole, self.lanes), max(0, whole)]

    def write(self) -> None:
        windows, schedule, text = self.windows, self.schedule, self.text
        rows = windows.tile_rows
        self.reserve("float", "images_", POINTS * self.image_point, 4)
        self.reserve("float", "sums_", POINTS * self.sum_point, 4)
        most = min(schedule.row_block, self.down) * 2 * windows.width + 2 * self.lanes
        self.reserve("float", "results_", most, 4)
        self.begin_tasks(windows.group_count * schedule.panels)
        group = offset_expression(windows.group_spans("b"), "group_")
        text.add(
            f"const long group_ = task_ / {schedule.panels};",
            f"const float *restrict b_ = {self.b} + {self.contraction.b_offset} + ({group});",
            f"const float *restrict a_ = {self.a} + group_ * {self.layout.of_group};",
            f"const long r_begin_ = {rows}L * (task_ % {schedule.panels}) / {schedule.panels};",
            f"const long r_end_ = {rows}L * (task_ % {schedule.panels} + 1) / {schedule.panels};",
            f"const long tiles_ = (r_end_ - r_begin_) * {self.across};",
        )
        self._write_images()
        block, outputs = schedule.row_chunk, windows.output_count
        text.add(
            f"for (long m_begin_ = 0; m_begin_ < {outputs}; m_begin_ += {block}) {{",
            f"const long m_end_ = {minimum('m_begin_', block, outputs)};",
        )
        self._write_products()
        self._write_results()
        text.add("}", "}")

    # Images

    def _begin_images(self) -> None:
        """The loop over the images that the task has rows of tiles of: from r_ to stop_."""
        self.text.add(
            "for (long r_ = r_begin_, stop_; r_ < r_end_; r_ = stop_) {",
            f"const long image_ = r_ / {self.down};",
            f"stop_ = (image_ + 1) * {self.down} < r_end_ ? (image_ + 1) * {self.down} : r_end_;",
        )

    def _write_images(self) -> None:
        """Transform what the task's tiles see of each channel."""
        windows, text, c = self.windows, self.text, self.contraction
        transform = input_function(self.helpers, self.lanes, self.image_point)
        at_end = input_at_end_function(self.helpers, self.lanes, self.image_point)
        groups = (c.batch, c.columns, c.inner)
        end = c.b_offset + sum([reach(axes, "b") for axes in groups]) + 1
        far = 3 * windows.pitch + 2 * self.pieces[-1] + 2 * self.lanes + 2
        image = offset_expression(windows.image_spans("stride"), "image_")
        text.add(
            f"const float *end_of_b_ = {self.b} + {end};",
            f"for (long c_ = 0; c_ < {windows.channel_count}; c_++) {{",
            f"const float *channel_ = b_ + ({offset_expression(windows.channel_spans, 'c_')});",
            f"float *target_ = images_ + c_ * {self.columns};",
        )
        self._begin_images()
        text.add(
            f"const float *source_ = channel_ + ({image}) "
            f"+ (r_ - image_ * {self.down}) * {2 * windows.pitch};",
            "for (long y_ = r_; y_ < stop_; y_++) {",
            f"if (source_ + {far} <= end_of_b_) {{",
            *[
                f"{transform}(source_ + {2 * first}, {windows.pitch}, target_ + {first});"
                for first in self.pieces
            ],
            "} else {",
            *[
                f"{at_end}(source_ + {2 * first}, {windows.pitch}, target_ + {first}, end_of_b_);"
                for first in self.pieces
            ],
            "}",
            f"source_ += {2 * windows.pitch};",
            f"target_ += {self.across};",
            "}",
            "}",
        )
        if self.schedule.row_block * self.across < self.columns or self._is_uneven():
            # What is multiplied for nothing: any number, but none that slows a processor down.
            text.add(
                f"for (long x_ = 0; x_ < {POINTS}; x_++) {{",
                f"float *row_ = images_ + x_ * {self.image_point} + c_ * {self.columns};",
                f"for (long t_ = tiles_; t_ < {self.columns}; t_++) {{",
                "row_[t_] = 0;",
                "}",
                "}",
            )
        text.add("}")

    def _is_uneven(self) -> bool:
        """Whether some tasks have fewer rows of tiles than others."""
        return self.schedule.any_rows or self.windows.tile_rows % self.schedule.panels != 0

    # Products

    def _write_products(self) -> None:
        """For each point, a block of outputs' weights times the images."""
        text, schedule, layout = self.text, self.schedule, self.layout
        block = min(schedule.row_chunk, self.windows.output_count)
        text.add(
            "const long count_ = m_end_ - m_begin_;",
            f"for (long x_ = 0; x_ < {POINTS}; x_++) {{",
            f"const float *weights_ = a_ + m_begin_ / {schedule.row_chunk} * {layout.of_block} "
            f"+ x_ * {layout.point};",
            f"const float *columns_ = images_ + x_ * {self.image_point};",
            f"float *target_ = sums_ + x_ * {self.sum_point};",
        )
        first = 0
        for width in panel_widths(schedule, self.windows):
            height = min(schedule.tile_rows(width), block)
            edges = {block % height, self.windows.output_count % block % height} - {0}
            text.add(f"if (tiles_ > {first}) {{" if first else "{", "long i_ = 0;")
            text.add(
                f"for (; i_ + {height} <= count_; i_ += {height}) {{",
                self._product(height, width, first),
                "}",
            )
            for rows in sorted(edges):
                text.add(f"if (count_ - i_ == {rows}) {{", self._product(rows, width, first), "}")
            text.add("}")
            first += width * schedule.lanes
        text.add("}")

    def _product(self, rows: int, width: int, first: int) -> str:
        lanes = self.schedule.lanes
        strides = (self.layout.row, 1, self.columns, self.columns)
        name = tile_function(
            self.helpers, float32, lanes, rows, [j * lanes for j in range(width)], lanes, strides,
            direct=True, ahead=(LINE // 4,),
        )  # fmt: skip
        return (
            f"{name}(weights_ + i_ * {self.layout.row}, columns_ + {first}, "
            f"target_ + i_ * {self.columns} + {first}, {self.windows.channel_count}, 1, "
            f"weights_ + (i_ + {rows}) * {self.layout.row});"  # those of the next tile
        )

    # Results

    def _write_results(self) -> None:
        """Transform the sums of each output and image into image rows, and hand those on."""
        windows, text = self.windows, self.text
        height, width = windows.height, windows.width
        function = output_function(self.helpers, self.lanes, self.sum_point, width)
        batch = offset_expression(windows.group_spans("batch"), "group_")
        image = offset_expression(windows.image_spans("batch_step"), "image_")
        column = offset_expression(windows.image_spans("column_step"), "image_")
        text.add(
            "for (long m_ = m_begin_; m_ < m_end_; m_++) {",
            f"const float *source_ = sums_ + (m_ - m_begin_) * {self.columns};",
        )
        self._begin_images()
        text.add(
            "float *row_ = results_;",
            "for (long y_ = r_; y_ < stop_; y_++) {",
            # From the right: what the last piece writes past its row, the next row's overwrite.
            *[
                f"{function}(source_ + {first}, row_ + {2 * first});"
                for first in reversed(self.pieces)
            ],
            f"source_ += {self.across};",
            f"row_ += {2 * width};",
            "}",
            f"const long y_begin_ = (r_ - image_ * {self.down}) * 2;",
            f"long y_end_ = (stop_ - image_ * {self.down}) * 2;",
        )
        if height % 2:
            text.add(f"y_end_ = y_end_ < {height} ? y_end_ : {height};")
        text.add(
            f"const long batch_ = {batch} + ({image});",
            f"const long n_begin_ = ({column}) + y_begin_ * {width};",
            f"const long n_end_ = n_begin_ + (y_end_ - y_begin_) * {width};",
        )
        self.consume("n_begin_", "n_end_", "results_[n_ - n_begin_]")
        text.add("}", "}")


# ---- transforms of one piece --------------------------------------------------------------------


def _pairs(helpers: Helpers, lanes: int) -> dict[str, str]:
    """Functions of two vectors: their ``even`` and ``odd`` elements, and the ``low`` and ``high``
    half of their elements in turn."""
    vector = helpers.vector(float32, lanes)
    turns = [i // 2 + i % 2 * lanes for i in range(lanes)]
    chosen = {
        "even": [2 * i for i in range(lanes)],
        "odd": [2 * i + 1 for i in range(lanes)],
        "low": turns,
        "high": [i + lanes // 2 for i in turns],
    }
    names = {}
    for name, places in chosen.items():
        listed = ", ".join(map(str, places))
        elements = ", ".join([f"x[{i}]" if i < lanes else f"y[{i - lanes}]" for i in places])
        names[name] = helpers.add(
            f"{name}{lanes}",
            f"static inline __attribute__((always_inline)) {vector} @({vector} x, {vector} y)\n{{\n"
            "#if defined __has_builtin\n#if __has_builtin(__builtin_shufflevector)\n"
            f"#define @shuffles\n    return __builtin_shufflevector(x, y, {listed});\n"
            "#endif\n#endif\n"
            f"#ifndef @shuffles\n    return ({vector}){{{elements}}};\n#endif\n}}\n",
        )
    return names


def input_function(helpers: Helpers, lanes: int, point: int) -> str:
    """A function that computes ``Bᵀ d B`` of neighbouring tiles ``d``, two elements apart.

    Points go to ``v``, ``point`` elements apart. The rows, first, are combined as they lie.
    """
    vector = helpers.vector(float32, lanes)
    pairs = _pairs(helpers, lanes)
    text = Text()
    for name, shift in (("a", 0), ("b", lanes), ("c", 2), ("d", lanes + 2)):
        for i in range(4):
            row = f"{i} * pitch + {shift}"
            text.add(f"const {vector} {name}{i} = *(const {vector}u *)(d + {row});")
        text.add(*_differences(vector, [f"{name}{i}" for i in range(4)], f"{name}_"))
    for i in range(4):
        text.add("{")
        text.add(
            f"const {vector} x0 = {pairs['even']}(a_{i}, b_{i});",
            f"const {vector} x1 = {pairs['odd']}(a_{i}, b_{i});",
            f"const {vector} x2 = {pairs['even']}(c_{i}, d_{i});",
            f"const {vector} x3 = {pairs['odd']}(c_{i}, d_{i});",
            *_differences(vector, [f"x{j}" for j in range(4)], "v_"),
        )
        for j in range(4):
            text.add(f"*({vector}u *)(v + {(4 * i + j) * point}) = v_{j};")
        text.add("}")
    signature = "@(const float *restrict d, long pitch, float *restrict v)"
    return helpers.add(f"winograd_input{lanes}", static_function(signature, text))


def _differences(vector: str, x: list[str], name: str) -> list[str]:
    """Bᵀ times four rows."""
    return [
        f"const {vector} {name}0 = {x[0]} - {x[2]}, {name}1 = {x[1]} + {x[2]}, "
        f"{name}2 = {x[2]} - {x[1]}, {name}3 = {x[1]} - {x[3]};"
    ]


def input_at_end_function(helpers: Helpers, lanes: int, point: int) -> str:
    """The same where it may reach past the images' end, beyond which zeros are taken."""
    transform, width = input_function(helpers, lanes, point), 2 * lanes + 2
    text = Text()
    text.add(
        f"float rows[{4 * width}];",
        "for (long i = 0; i < 4; i++) {",
        "const long left = end - (d + i * pitch);",
        f"for (long j = 0; j < {width}; j++) {{",
        f"rows[i * {width} + j] = j < left ? d[i * pitch + j] : 0;",
        "}",
        "}",
        f"{transform}(rows, {width}, v);",
    )
    signature = "@(const float *d, long pitch, float *restrict v, const float *end)"
    return helpers.add(f"winograd_input_at_end{lanes}", static_function(signature, text))


def output_function(helpers: Helpers, lanes: int, point: int, width: int) -> str:
    """A function that computes ``Aᵀ m A`` of neighbouring tiles' sums, ``point`` elements apart,
    and writes two image rows of ``width`` elements."""
    vector = helpers.vector(float32, lanes)
    pairs = _pairs(helpers, lanes)
    text = Text()
    for j in range(4):
        for i in range(4):
            place = (4 * i + j) * point
            text.add(f"const {vector} m{i}{j} = *(const {vector}u *)(m + {place});")
        text.add(
            f"const {vector} s0{j} = m0{j} + m1{j} + m2{j}, s1{j} = m1{j} - m2{j} - m3{j};",
        )
    for i in range(2):
        text.add(
            f"const {vector} even{i} = s{i}0 + s{i}1 + s{i}2, odd{i} = s{i}1 - s{i}2 - s{i}3;",
            f"*({vector}u *)(y + {i * width}) = {pairs['low']}(even{i}, odd{i});",
            f"*({vector}u *)(y + {i * width + lanes}) = {pairs['high']}(even{i}, odd{i});",
        )
    signature = "@(const float *restrict m, float *restrict y)"
    return helpers.add(f"winograd_output{lanes}", static_function(signature, text))
