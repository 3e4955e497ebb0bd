// add: 160 groups of 256
// add float32[300×500]
__kernel void KERNEL_NAME(
    __global const float *in0,
    __global const float *in1,
    __global float *out2
) {
    // in0: float32[300×500]
    // in1: float32[500×300]
    // out2: float32[300×500]
    const int tile = get_group_id(0);
    const int near = get_local_id(0) % 32, far = get_local_id(0) / 32;
    __local float tile_0_local[1056];
    for (int step = far; step < 32; step += 8) {
        const int i0 = tile / 16 * 32 + near;
        const int i1 = tile % 16 * 32 + step;
        if (i0 < 300 && i1 < 500) {
            tile_0_local[step * 33 + near] = in1[i1 * 300 + i0];
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = far; step < 32; step += 8) {
        const int i1 = tile % 16 * 32 + near;
        const int i0 = tile / 16 * 32 + step;
        if (i1 < 500 && i0 < 300) {
            const int lane = near * 33 + step;
            const float tile_0 = tile_0_local[lane];
            const float in0_0 = in0[i0 * 500 + i1];
            const float add_0 = (in0_0 + tile_0);
            out2[i0 * 500 + i1] = add_0;
        }
    }
}
