// sort: 300 groups of 256
// sort float32[300×1000]
// argsort int64[300×1000]
__kernel void KERNEL_NAME(
    __global const float *in0,
    __global float *out1,
    __global long *out2
) {
    const __global unsigned *source = (const __global unsigned *)in0 + (size_t)get_group_id(0) * 1000;
    const int item = get_local_id(0);
    __local unsigned long pairs[1024];
    for (int i = item; i < 1024; i += 256) {
        unsigned long pair = 0xffffffffffffffffUL;
        if (i < 1000) {
            const unsigned bits = source[i];
            const unsigned magnitude = bits & 0x7fffffffu;
            const unsigned negative = (bits >> 31) & (magnitude != 0);
            const unsigned ordered = magnitude ^ (0x80000000u - negative);
            const unsigned key = (magnitude > 0x7f800000u ? 0xffffffffu : ordered);
            const unsigned long made = (unsigned long)key << 32 | (unsigned long)(i);
            pair = made;
        }
        pairs[i] = pair;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int size = 2; size <= 1024; size *= 2) {
        for (int stride = size / 2; stride > 0; stride /= 2) {
            for (int i = item; i < 512; i += 256) {
                const int low = 2 * i - (i & (stride - 1)), high = low + stride;
                const unsigned long x = pairs[low], y = pairs[high];
                const int falls = (low & size) != 0, turned = y < x;
                if (falls != turned) {
                    pairs[low] = y;
                    pairs[high] = x;
                }
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
    for (int i = item + 0; i < 1000; i += 256) {
        const unsigned long pair = pairs[i];
        const size_t at = (size_t)get_group_id(0) * 1000 + i - 0;
        const unsigned ordered = (unsigned)(pair >> 32);
        const unsigned bits = ordered ^ (0xffffffffu - (ordered >> 31) * 0x7fffffffu);
        const unsigned value = ordered == 0x80000000u || ordered == 0xffffffffu ? source[(long)(unsigned)pair] : bits;
        ((__global unsigned *)out1)[at] = (unsigned)value;
        out2[at] = (long)(unsigned)pair;
    }
}
