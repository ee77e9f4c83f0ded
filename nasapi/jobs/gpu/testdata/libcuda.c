// A stand-in for CUDA's driver with two devices, to link and run package gpu with
// the tag nvidia where there is no driver. The linker leaves open what it lacks.
// As the driver does, it refuses to start where no device is visible.
#include <cuda.h>
#include <stdlib.h>
#include <string.h>

static const char *names[] = {"Stand-in A", "Stand-in B"};
static int fewer;

CUresult cuInit(unsigned int flags) {
	const char *visible = getenv("CUDA_VISIBLE_DEVICES"), *order = getenv("CUDA_DEVICE_ORDER");
	if (visible && !*visible) return CUDA_ERROR_NO_DEVICE;
	fewer = visible != NULL || !order || strcmp(order, "PCI_BUS_ID");
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
	*count = fewer ? 1 : 2;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
	if (ordinal < 0 || ordinal > 1) return CUDA_ERROR_INVALID_DEVICE;
	*device = ordinal;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev) {
	strncpy(name, names[dev], len);
	return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice dev) {
	*bytes = (size_t)(dev + 1) << 34;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev) {
	memset(uuid->bytes, 0xa0 + dev, sizeof uuid->bytes);
	return CUDA_SUCCESS;
}
